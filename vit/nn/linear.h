// Linear: y = x W^T + b with fused epilogues. timm's and torch's nn.Linear. It can be adapted by a low-rank term.
#pragma once

#include <memory>

#include "vit/autograd/ops.h"
#include "vit/nn/module.h"

namespace vit {

/// Low-rank adaptation (Hu et al. 2021, "LoRA: low-rank adaptation of large language models", section 4.1):
/// y = x W^T + b + alpha / rank * (dropout(x) A^T) B^T with A [rank, in], uniform as Kaiming's rule has it, and B
/// [out, rank], zeros: it starts as if it were not there.
struct LoraOptions {
  int64_t rank = 8;
  float alpha = 16.0f;
  float dropout = 0.0f;  ///< where Context::training is set
  float factor() const { return alpha / static_cast<float>(rank); }
};

class Linear : public Module {
 public:
  /// weight [out_features, in_features], bias [out_features].
  Linear(int64_t in_features, int64_t out_features, bool bias = true, Init weight_init = Init::truncated_normal(0.02f),
         Init bias_init = Init::zeros());

  /// x [..., in_features] -> [..., out_features]
  Var forward(Context& ctx, const Var& x, const LinearOptions& options = {}) const;

  /// The result for an input of zeros: [out_features], or undefined without a bias.
  const Var& bias() const { return bias_.value; }

  /// Packs the weight, with the adapter merged into it, and drops the plain one.
  void prepare() override;

  /// Adds parameters lora_a and lora_b, without values. Errors: a rank below 1, an adapter already.
  void add_lora(const LoraOptions& options);
  /// Null without an adapter.
  const LoraOptions* lora() const { return lora_ ? &lora_->options : nullptr; }

 private:
  struct Lora {
    LoraOptions options;
    Parameter a, b;
  };
  Var forward_adapted(Context& ctx, const Var& x, const LinearOptions& options) const;
  Parameter weight_, bias_;
  std::unique_ptr<Lora> lora_;
  PackedWeight packed_;
};

/// The weight that makes the adapter superfluous: weight [out, in] + factor * b [out, rank] a [rank, in].
/// Errors: shapes do not match.
Tensor merge_lora_weight(const Tensor& weight, const Tensor& a, const Tensor& b, float factor);

}  // namespace vit
