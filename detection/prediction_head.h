// The small multi-layer perceptron with which detectors predict boxes from queries (Carion et al. 2020, "DETR", section
// 3.2) and make position vectors from boxes (Zhao et al. 2024, "RT-DETR").
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "vit/nn/linear.h"
#include "vit/nn/module.h"

namespace detection {

struct PredictionHeadOptions {
  int64_t inputs = 0, hidden = 0, outputs = 4;
  int64_t layers = 3;
  bool zero_last = false;  ///< the last layer starts as zeros: every box starts where its reference is
};

/// Linear layers with ReLUs between them. Parameters: layers.{i}.weight, layers.{i}.bias.
class PredictionHead : public vit::Module {
 public:
  explicit PredictionHead(const PredictionHeadOptions& options);
  /// x [..., inputs] -> [..., outputs]
  vit::Var forward(vit::Context& ctx, const vit::Var& x) const;

 private:
  std::deque<vit::Linear> layers_;
};

/// A linear layer from queries to the logits of K classes, which can be exchanged for one of other classes. Every class
/// starts at the same probability. Parameters: weight [K, inputs], bias [K].
class ClassHead : public vit::Module {
 public:
  ClassHead(int64_t inputs, int64_t num_classes, double prior);
  /// x [..., inputs] -> [..., K]
  vit::Var forward(vit::Context& ctx, const vit::Var& x) const { return linear_->forward(ctx, x); }
  /// A layer for other classes, without values.
  void replace(int64_t num_classes);

 private:
  int64_t inputs_;
  double prior_;
  std::unique_ptr<vit::Linear> linear_;
};

/// torch.nn.Linear as torch starts it: weight and bias uniform within 1 / sqrt(inputs).
vit::Init torch_linear_init(int64_t inputs);
/// Normal, with the variance of Glorot, Bengio 2010, equation 16.
vit::Init xavier_init(int64_t inputs, int64_t outputs);
/// The bias with which every class starts at probability `prior` (Lin et al. 2017, "Focal loss", section 3.3).
vit::Init prior_bias(double prior);

}  // namespace detection
