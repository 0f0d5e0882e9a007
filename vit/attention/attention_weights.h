// Weights of a mechanism as a part of the computation: losses on where it looks, such as the doubly stochastic one of
// "Show, attend and tell" (Xu et al. 2015, section 4.2.1), need their gradient. Observers get values only.
#pragma once

#include <functional>
#include <utility>

#include "vit/nn/attention.h"

namespace vit {

/// A mechanism that can hand its weights over. One thread trains a model at a time: set listeners between passes.
class WeightsSource {
 public:
  virtual ~WeightsSource() = default;
  /// Called in every pass that a tape records, with the weights [B, H, T, M] of the queries on the memory
  /// (probabilities before a draw, where entries are drawn). Null: nobody listens.
  void listen_to_weights(std::function<void(const Var&)> listener) { weights_listener_ = std::move(listener); }

 protected:
  bool is_heard(const Context& ctx) const { return ctx.tape && weights_listener_; }
  void tell_weights(const Context& ctx, const Var& weights) const {
    if (is_heard(ctx)) weights_listener_(weights);
  }
  /// observed_attention(); where somebody listens from steps of its own, whose weights have a gradient and take
  /// O(T M) memory.
  Var told_attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                     const AttentionOptions& options) const;

 private:
  std::function<void(const Var&)> weights_listener_;
};

}  // namespace vit
