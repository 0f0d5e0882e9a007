#include "detection/prediction_head.h"

#include <cmath>

namespace detection {

PredictionHead::PredictionHead(const PredictionHeadOptions& options) {
  for (int64_t i = 0; i < options.layers; ++i) {
    const int64_t inputs = i == 0 ? options.inputs : options.hidden;
    const bool last = i + 1 == options.layers;
    const vit::Init init = last && options.zero_last ? vit::Init::zeros() : torch_linear_init(inputs);
    add_module(vit::str("layers.", i), layers_.emplace_back(inputs, last ? options.outputs : options.hidden,
                                                            /*bias=*/true, init, init));
  }
}

vit::Var PredictionHead::forward(vit::Context& ctx, const vit::Var& x) const {
  vit::Var y = x;
  for (size_t i = 0; i < layers_.size(); ++i)
    y = layers_[i].forward(ctx, y,
                           {.activation = i + 1 < layers_.size() ? vit::Activation::relu : vit::Activation::none});
  return y;
}

ClassHead::ClassHead(int64_t inputs, int64_t num_classes, double prior) : inputs_(inputs), prior_(prior) {
  replace(num_classes);
}

void ClassHead::replace(int64_t num_classes) {
  clear_modules();
  linear_ = std::make_unique<vit::Linear>(inputs_, num_classes, /*bias=*/true, xavier_init(inputs_, num_classes),
                                          prior_bias(prior_));
  add_module("", *linear_);
}

vit::Init torch_linear_init(int64_t inputs) { return vit::Init::uniform(1.0f / std::sqrt(static_cast<float>(inputs))); }

vit::Init xavier_init(int64_t inputs, int64_t outputs) {
  return vit::Init::normal(std::sqrt(2.0f / static_cast<float>(inputs + outputs)));
}

vit::Init prior_bias(double prior) { return vit::Init::constant(static_cast<float>(-std::log((1.0 - prior) / prior))); }

}  // namespace detection
