#include "detection/kalman.h"

#include <cmath>

namespace detection {

namespace {

using Measurement = std::array<double, 4>;

double square(double x) { return x * x; }

Measurement aspect_height_of(const vit::Corners& box) {
  const vit::CenterBox center = vit::to_center(box);
  return {center[0], center[1], center[2] / center[3], center[3]};
}

Measurement area_aspect_of(const vit::Corners& box) {
  const vit::CenterBox center = vit::to_center(box);
  return {center[0], center[1], center[2] * center[3], center[2] / center[3]};
}

// AspectHeightFilter: standard deviations as shares of the height; those of the aspect ratio are absolute.
constexpr double kPosition = 1.0 / 20.0, kVelocity = 1.0 / 160.0;
constexpr double kAspect = 1e-2, kAspectVelocity = 1e-5, kMeasuredAspect = 1e-1;
constexpr size_t kAspectAt = 2;

// AreaAspectFilter: variances in pixels, of x, y, area and ratio.
constexpr Measurement kSortMeasured = {1.0, 1.0, 10.0, 10.0}, kSortNoise = {1.0, 1.0, 1.0, 1.0},
                      kSortVelocityNoise = {1e-2, 1e-2, 1e-4, 0.0};
constexpr double kSortPosition = 10.0, kSortVelocity = 1e4;

}  // namespace

void MovingCoordinate::predict(double noise_position, double noise_velocity) {
  position += velocity;
  var_position += 2.0 * covariance + var_velocity + noise_position;
  covariance += var_velocity;
  var_velocity += noise_velocity;
}

void MovingCoordinate::correct(double measured, double variance) {
  const double total = var_position + variance;
  const double gain = var_position / total, velocity_gain = covariance / total, error = measured - position;
  position += gain * error;
  velocity += velocity_gain * error;
  var_velocity -= velocity_gain * covariance;
  covariance -= gain * covariance;
  var_position -= gain * var_position;
}

AspectHeightFilter::AspectHeightFilter(const vit::Corners& box) {
  const Measurement measured = aspect_height_of(box);
  const double height = measured[3];
  for (size_t i = 0; i < 4; ++i) {
    const bool aspect = i == kAspectAt;
    state_[i].position = measured[i];
    state_[i].var_position = square(aspect ? kAspect : 2.0 * kPosition * height);
    state_[i].var_velocity = square(aspect ? kAspectVelocity : 10.0 * kVelocity * height);
  }
}

void AspectHeightFilter::predict() {
  const double h = height().position;
  for (size_t i = 0; i < 4; ++i) {
    const bool aspect = i == kAspectAt;
    state_[i].predict(square(aspect ? kAspect : kPosition * h), square(aspect ? kAspectVelocity : kVelocity * h));
  }
}

void AspectHeightFilter::correct(const vit::Corners& box) {
  const Measurement measured = aspect_height_of(box);
  const double h = height().position;
  for (size_t i = 0; i < 4; ++i)
    state_[i].correct(measured[i], square(i == kAspectAt ? kMeasuredAspect : kPosition * h));
}

vit::Corners AspectHeightFilter::box() const {
  const double h = state_[3].position;
  return vit::to_corners({state_[0].position, state_[1].position, state_[kAspectAt].position * h, h});
}

AreaAspectFilter::AreaAspectFilter(const vit::Corners& box) {
  const Measurement measured = area_aspect_of(box);
  for (size_t i = 0; i < 4; ++i) {
    state_[i].position = measured[i];
    state_[i].var_position = kSortPosition;
    state_[i].var_velocity = i == 3 ? 0.0 : kSortVelocity;
  }
}

void AreaAspectFilter::predict() {
  MovingCoordinate& area = state_[2];
  if (area.position + area.velocity <= 0.0) area.velocity = 0.0;  // a box does not shrink to nothing
  for (size_t i = 0; i < 4; ++i) state_[i].predict(kSortNoise[i], kSortVelocityNoise[i]);
}

void AreaAspectFilter::correct(const vit::Corners& box) {
  const Measurement measured = area_aspect_of(box);
  for (size_t i = 0; i < 4; ++i) state_[i].correct(measured[i], kSortMeasured[i]);
}

vit::Corners AreaAspectFilter::box() const {
  const double area = state_[2].position, aspect = state_[3].position;
  if (!(area > 0.0) || !(aspect > 0.0))
    return {state_[0].position, state_[1].position, state_[0].position, state_[1].position};
  const double width = std::sqrt(area * aspect);
  return vit::to_corners({state_[0].position, state_[1].position, width, area / width});
}

}  // namespace detection
