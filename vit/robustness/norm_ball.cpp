#include "vit/robustness/norm_ball.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "vit/core/parallel.h"
#include "vit/core/rng.h"

namespace vit {

namespace {

using Values = std::span<float>;
using ConstValues = std::span<const float>;

/// The values of one picture.
Values values_of(const Tensor& pictures, int64_t index) {
  const int64_t count = pictures.numel() / pictures.size(0);
  return {pictures.f32() + index * count, static_cast<size_t>(count)};
}

double length(ConstValues values) {
  double sum = 0.0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

double difference_length(ConstValues a, ConstValues b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  return std::sqrt(sum);
}

float within_picture(float value, float original) {
  return std::clamp(value, std::min(0.0f, original), std::max(1.0f, original));
}

void project_picture(Norm norm, float eps, Values x, ConstValues center) {
  float shrink = 1.0f;
  if (norm == Norm::l2) {
    const double far = difference_length(x, center);
    if (far > eps) shrink = static_cast<float>(eps / far);
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const float change = x[i] - center[i];
    const float kept = norm == Norm::linf ? std::clamp(change, -eps, eps) : shrink * change;
    x[i] = within_picture(center[i] + kept, center[i]);
  }
}

void step_picture(Norm norm, Values x, ConstValues gradient, float alpha) {
  if (norm == Norm::linf) {
    for (size_t i = 0; i < x.size(); ++i) {
      const float sign = static_cast<float>(gradient[i] > 0.0f) - static_cast<float>(gradient[i] < 0.0f);
      x[i] += alpha * sign;
    }
    return;
  }
  const double steepness = length(gradient);
  if (steepness <= 0.0) return;
  const auto factor = static_cast<float>(alpha / steepness);
  for (size_t i = 0; i < x.size(); ++i) x[i] += factor * gradient[i];
}

/// A point of the unit ball: of the cube's inside, or a direction with the radius u^(1/n) that fills the ball evenly.
void draw_point(Norm norm, float eps, Values change, Rng& rng) {
  if (norm == Norm::linf) {
    for (float& value : change) value = eps * (2.0f * rng.uniform() - 1.0f);
    return;
  }
  for (float& value : change) value = rng.normal();
  const double far = length(change);
  const double radius = eps * std::pow(static_cast<double>(rng.uniform()), 1.0 / static_cast<double>(change.size()));
  const auto factor = static_cast<float>(far > 0.0 ? radius / far : 0.0);
  for (float& value : change) value *= factor;
}

}  // namespace

const std::vector<std::pair<Norm, std::string>>& enum_names(Norm) {
  static const std::vector<std::pair<Norm, std::string>> names = {{Norm::linf, "linf"}, {Norm::l2, "l2"}};
  return names;
}

void NormBall::validate(int64_t values) const {
  if (!(eps > 0.0f))
    fail_usage("eps must be above 0, got ", eps, ": it is the largest change of a pixel, such as 8/255 (0.0314)");
  const double most = norm == Norm::linf ? 1.0 : std::sqrt(static_cast<double>(values));
  if (eps <= most) return;
  if (norm == Norm::linf)
    fail_usage("eps must be at most 1, got ", eps, ": pixels lie between 0 and 1; 8 of 255 steps is 8/255 (0.0314)");
  fail_usage("eps must be at most ", most, ", got ", eps, ": no two pictures of ", values,
             " values are further apart in l2");
}

void NormBall::ascend(Tensor& x, const Tensor& center, const Tensor& gradient, float alpha) const {
  ascend(x, center, gradient, std::vector<float>(static_cast<size_t>(x.size(0)), alpha));
}

void NormBall::ascend(Tensor& x, const Tensor& center, const Tensor& gradient, const std::vector<float>& alpha) const {
  check(x.shape() == center.shape() && x.shape() == gradient.shape(), "norm ball: pictures ", x.shape(), ", originals ",
        center.shape(), " and gradient ", gradient.shape(), " must have one shape");
  check(static_cast<int64_t>(alpha.size()) == x.size(0), "norm ball: ", alpha.size(), " steps for ", x.size(0),
        " pictures");
  parallel_for(x.size(0), [&](int64_t b) {
    step_picture(norm, values_of(x, b), values_of(gradient, b), alpha[static_cast<size_t>(b)]);
    project_picture(norm, eps, values_of(x, b), values_of(center, b));
  });
}

void NormBall::project(Tensor& x, const Tensor& center) const {
  check(x.shape() == center.shape(), "norm ball: pictures ", x.shape(), " around originals ", center.shape());
  parallel_for(x.size(0), [&](int64_t b) { project_picture(norm, eps, values_of(x, b), values_of(center, b)); });
}

Tensor NormBall::random_point(const Tensor& center, uint64_t seed, const std::vector<int64_t>& numbers,
                              int64_t draw) const {
  check(static_cast<int64_t>(numbers.size()) == center.size(0), "norm ball: ", numbers.size(), " numbers for ",
        center.size(0), " pictures");
  Tensor x = Tensor::empty(center.shape());
  const uint64_t use = Rng::stream_of("attack start") + static_cast<uint64_t>(draw) * 0x9E3779B97F4A7C15ull;
  parallel_for(x.size(0), [&](int64_t b) {
    Rng rng(seed, use + static_cast<uint64_t>(numbers[static_cast<size_t>(b)]));
    const Values point = values_of(x, b);
    const ConstValues original = values_of(center, b);
    draw_point(norm, eps, point, rng);
    for (size_t i = 0; i < point.size(); ++i) point[i] += original[i];
    project_picture(norm, eps, point, original);
  });
  return x;
}

std::vector<double> distances(Norm norm, const Tensor& x, const Tensor& center) {
  check(x.shape() == center.shape(), "distances: pictures ", x.shape(), " and originals ", center.shape());
  std::vector<double> far(static_cast<size_t>(x.size(0)), 0.0);
  for (int64_t b = 0; b < x.size(0); ++b) {
    const ConstValues a = values_of(x, b), original = values_of(center, b);
    double& distance = far[static_cast<size_t>(b)];
    if (norm == Norm::l2) distance = difference_length(a, original);
    if (norm == Norm::l2) continue;
    for (size_t i = 0; i < a.size(); ++i)
      distance = std::max(distance, std::abs(static_cast<double>(a[i]) - original[i]));
  }
  return far;
}

}  // namespace vit
