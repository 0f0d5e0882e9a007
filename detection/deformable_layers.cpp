#include "detection/deformable_layers.h"

#include "detection/prediction_head.h"

namespace detection {

namespace {

vit::AttentionShape attention_shape(const TransformerLayerOptions& options) {
  return {.dim = options.dim, .num_heads = options.heads, .memory_dim = options.dim};
}

vit::DeformableAttentionOptions sampling(const TransformerLayerOptions& options) {
  return {.levels = options.levels, .points = options.points};
}

}  // namespace

FeedForward::FeedForward(const TransformerLayerOptions& options)
    : activation_(options.activation),
      dropout_(options.dropout),
      activation_dropout_(options.activation_dropout),
      fc1_(options.dim, options.ffn_dim, true, torch_linear_init(options.dim), torch_linear_init(options.dim)),
      fc2_(options.ffn_dim, options.dim, true, torch_linear_init(options.ffn_dim), torch_linear_init(options.ffn_dim)),
      norm_(vit::NormKind::layer_norm, options.dim, options.norm_eps) {
  add_module("fc1", fc1_);
  add_module("fc2", fc2_);
  add_module("final_layer_norm", norm_);
}

vit::Var FeedForward::add_branch(vit::Context& ctx, const vit::Var& x) const {
  return residual_sum(ctx, x, dropout_, [&](const vit::LinearOptions& epilogue) {
    const vit::Var hidden = fc1_.forward(ctx, x, {.activation = activation_});
    return fc2_.forward(ctx, vit::dropout(ctx, hidden, activation_dropout_), epilogue);
  });
}

vit::Var FeedForward::forward(vit::Context& ctx, const vit::Var& x) const {
  return norm_.forward(ctx, add_branch(ctx, x));
}

vit::Var FeedForward::forward_normalised_first(vit::Context& ctx, const vit::Var& x) const {
  return add_branch(ctx, norm_.forward(ctx, x));
}

DeformableEncoderLayer::DeformableEncoderLayer(const TransformerLayerOptions& options)
    : dropout_(options.dropout),
      self_attn_(attention_shape(options), sampling(options)),
      norm_(vit::NormKind::layer_norm, options.dim, options.norm_eps),
      feed_forward_(options) {
  add_module("self_attn", self_attn_);
  add_module("self_attn_layer_norm", norm_);
  add_module("", feed_forward_);
}

vit::Var DeformableEncoderLayer::forward(vit::Context& ctx, const Memory& memory, const vit::Var& positions,
                                         const vit::Tensor& references) const {
  const vit::Var asking = vit::add(ctx, memory.tokens, positions);
  const vit::Var mixed = residual_sum(ctx, memory.tokens, dropout_, [&](const vit::LinearOptions& epilogue) {
    vit::Scope scope(ctx, "self_attn");
    return self_attn_.look(ctx, asking,
                           {.reference = references,
                            .memory = memory.tokens,
                            .grids = memory.grids,
                            .memory_mask = memory.mask,
                            .residual = epilogue});
  });
  return feed_forward_.forward(ctx, norm_.forward(ctx, mixed));
}

DeformableDecoderLayer::DeformableDecoderLayer(const TransformerLayerOptions& options)
    : dropout_(options.dropout),
      self_attn_({.embed_dim = options.dim, .num_heads = options.heads, .dropout = options.attention_dropout}),
      self_attn_norm_(vit::NormKind::layer_norm, options.dim, options.norm_eps),
      encoder_attn_(attention_shape(options), sampling(options)),
      encoder_attn_norm_(vit::NormKind::layer_norm, options.dim, options.norm_eps),
      feed_forward_(options) {
  add_module("self_attn", self_attn_);
  add_module("self_attn_layer_norm", self_attn_norm_);
  add_module("encoder_attn", encoder_attn_);
  add_module("encoder_attn_layer_norm", encoder_attn_norm_);
  add_module("", feed_forward_);
}

vit::Var DeformableDecoderLayer::forward(vit::Context& ctx, const vit::Var& x, const Memory& memory,
                                         const DecoderLayerInput& input) const {
  const auto placed = [&](const vit::Var& queries) { return vit::add(ctx, queries, input.positions); };
  vit::Var y;
  {
    vit::Scope scope(ctx, "self_attn");
    const vit::Var asking = placed(x);
    const vit::Var sum = residual_sum(ctx, x, dropout_, [&](const vit::LinearOptions& epilogue) {
      return self_attn_.forward(ctx, asking, asking, x, {.attention = input.mask}, epilogue);
    });
    y = self_attn_norm_.forward(ctx, sum);
  }
  const vit::Var asking = placed(y);
  y = residual_sum(ctx, y, dropout_, [&](const vit::LinearOptions& epilogue) {
    vit::Scope scope(ctx, "encoder_attn");
    return encoder_attn_.look(ctx, asking,
                              {.reference = input.references,
                               .memory = memory.tokens,
                               .grids = memory.grids,
                               .memory_mask = memory.mask,
                               .residual = epilogue});
  });
  return feed_forward_.forward(ctx, encoder_attn_norm_.forward(ctx, y));
}

}  // namespace detection
