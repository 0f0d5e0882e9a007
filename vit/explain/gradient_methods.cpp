// Gradients of the pixels: input times gradient, integrated gradients (docs/explain.md).
#include <cmath>
#include <numbers>

#include "vit/core/check.h"
#include "vit/explain/method.h"
#include "vit/explain/quadrature.h"
#include "vit/explain/roles.h"

namespace vit {

namespace {

/// Values of [1, channels, height, width] summed over channels.
Tensor over_channels(const std::vector<double>& values, const Shape& shape) {
  Tensor map = Tensor::zeros({shape[2], shape[3]});
  const int64_t plane = shape[2] * shape[3];
  for (int64_t i = 0; i < plane; ++i) {
    double sum = 0.0;
    for (int64_t c = 0; c < shape[1]; ++c) sum += values[static_cast<size_t>(c * plane + i)];
    map.f32()[i] = static_cast<float>(sum);
  }
  return map;
}

Explanation explain_input_x_gradient(const Subject& subject, const Tensor& pixels, const MethodOptions&) {
  const Tensor gradient = input_gradient(subject, pixels);
  std::vector<double> values(static_cast<size_t>(pixels.numel()));
  for (int64_t i = 0; i < pixels.numel(); ++i)
    values[static_cast<size_t>(i)] = static_cast<double>(pixels.f32()[i]) * gradient.f32()[i];
  return {.map = over_channels(values, pixels.shape()), .is_signed = true};
}

/// Points on the way from zeros to the picture: [count, channels, height, width].
Tensor scaled_copies(const Tensor& pixels, const std::vector<double>& factors) {
  const int64_t each = pixels.numel();
  Tensor copies = Tensor::empty({static_cast<int64_t>(factors.size()), pixels.size(1), pixels.size(2), pixels.size(3)});
  for (size_t k = 0; k < factors.size(); ++k)
    for (int64_t i = 0; i < each; ++i)
      copies.f32()[static_cast<int64_t>(k) * each + i] = static_cast<float>(factors[k] * pixels.f32()[i]);
  return copies;
}

double objective_of(const Subject& subject, const Tensor& pixels) {
  Context ctx;
  return subject.objective(ctx, pixels).value().f32()[0];
}

/// Nodes on the way from the mean colour to the picture. Where norms meet next to nothing answers change within the
/// first thousandth of it, so nodes are close there: the share of the way is t^3, t by Gauss and Legendre.
Quadrature path_nodes(int64_t steps) {
  Quadrature rule = gauss_legendre(steps);
  for (size_t i = 0; i < rule.nodes.size(); ++i) {
    const double t = rule.nodes[i];
    rule.nodes[i] = t * t * t;
    rule.weights[i] *= 3.0 * t * t;
  }
  return rule;
}

/// How well the shares add up, and what to do where they do not.
std::string completeness_note(double total, double expected) {
  constexpr double kComplete = 5.0;
  const double off = 100.0 * std::abs(total - expected) / std::max(std::abs(expected), 1e-12);
  const std::string figures = str("the map sums to ", total, ", the answer changes by ", expected,
                                  " from a picture of the mean colour (", off, " % off)");
  return off <= kComplete ? "complete: " + figures : "NOT complete, more --steps help: " + figures;
}

Explanation explain_integrated_gradients(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  if (options.steps < 1) fail_usage("integrated gradients need at least one step, got ", options.steps);
  const Quadrature rule = path_nodes(options.steps);
  const int64_t each = pixels.numel();
  std::vector<double> integral(static_cast<size_t>(each), 0.0);
  for (size_t first = 0; first < rule.nodes.size();) {
    const size_t last = std::min(rule.nodes.size(), first + static_cast<size_t>(options.batch_size));
    const Tensor gradient =
        input_gradient(subject, scaled_copies(pixels, {rule.nodes.begin() + static_cast<int64_t>(first),
                                                       rule.nodes.begin() + static_cast<int64_t>(last)}));
    for (int64_t k = 0; first < last; ++first, ++k)
      for (int64_t i = 0; i < each; ++i)
        integral[static_cast<size_t>(i)] += rule.weights[first] * gradient.f32()[k * each + i];
  }
  double total = 0.0;
  for (int64_t i = 0; i < each; ++i) total += integral[static_cast<size_t>(i)] *= pixels.f32()[i];
  const double expected = objective_of(subject, pixels) - objective_of(subject, Tensor::zeros(pixels.shape()));
  Explanation result{.map = over_channels(integral, pixels.shape()), .is_signed = true};
  result.notes.push_back(completeness_note(total, expected));
  return result;
}

VITKIT_REGISTER_METHOD("input_x_gradient", .title = "Input x gradient",
                       .summary = "pixels times the gradient: the first-order share of each in the answer",
                       .source = "Shrikumar et al. 2016; Baehrens et al. 2010", .needs_gradient = true, .refusal = {},
                       .explain = explain_input_x_gradient);

VITKIT_REGISTER_METHOD("integrated_gradients", .title = "Integrated gradients",
                       .summary = "gradients summed on the way from a picture of the mean colour: shares that add up",
                       .source = "Sundararajan, Taly, Yan 2017, eq. 1", .needs_gradient = true, .refusal = {},
                       .explain = explain_integrated_gradients);

}  // namespace

}  // namespace vit
