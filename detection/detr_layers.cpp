#include "detection/detr_layers.h"

#include <cmath>

namespace detection {

using vit::Context;
using vit::LinearOptions;
using vit::Var;

namespace {

constexpr float kNormEps = 1e-5f;

/// Glorot, Bengio 2010, equation 16: how the authors start every matrix of the transformer.
vit::Init xavier_uniform(int64_t inputs, int64_t outputs) {
  return vit::Init::uniform(std::sqrt(6.0f / static_cast<float>(inputs + outputs)));
}

}  // namespace

DetrLayer::DetrLayer(const DetrLayerOptions& options)
    : options_(options),
      fc1_(options.dim, options.ffn_dim, /*bias=*/true, xavier_uniform(options.dim, options.ffn_dim)),
      fc2_(options.ffn_dim, options.dim, /*bias=*/true, xavier_uniform(options.ffn_dim, options.dim)),
      final_layer_norm_(vit::NormKind::layer_norm, options.dim, kNormEps) {}

void DetrLayer::add_mlp_parameters() {
  add_module("fc1", fc1_);
  add_module("fc2", fc2_);
  add_module("final_layer_norm", final_layer_norm_);
}

vit::MultiheadAttentionOptions DetrLayer::attention_options(const DetrLayerOptions& options) {
  return {.embed_dim = options.dim, .num_heads = options.heads, .dropout = options.attention_dropout};
}

Var DetrLayer::add_mlp(Context& ctx, const Var& x) const {
  return add_part(ctx, x, final_layer_norm_, [&](const Var& input, const LinearOptions& epilogue) {
    const Var hidden = fc1_.forward(ctx, input, {.activation = options_.activation});
    return fc2_.forward(ctx, vit::dropout(ctx, hidden, options_.activation_dropout), epilogue);
  });
}

DetrEncoderLayer::DetrEncoderLayer(const DetrLayerOptions& options)
    : DetrLayer(options),
      self_attn_(attention_options(options)),
      self_attn_layer_norm_(vit::NormKind::layer_norm, options.dim, kNormEps) {
  add_module("self_attn", self_attn_);
  add_module("self_attn_layer_norm", self_attn_layer_norm_);
  add_mlp_parameters();
}

Var DetrEncoderLayer::forward(Context& ctx, const Var& x, const Var& positions,
                              const vit::AttentionMasks& masks) const {
  const Var y = add_part(ctx, x, self_attn_layer_norm_, [&](const Var& input, const LinearOptions& epilogue) {
    vit::Scope scope(ctx, "self_attn");
    const Var placed = vit::add(ctx, input, positions);
    return self_attn_.forward(ctx, placed, placed, input, masks, epilogue);
  });
  return add_mlp(ctx, y);
}

DetrDecoderLayer::DetrDecoderLayer(const DetrLayerOptions& options)
    : DetrLayer(options),
      self_attn_(attention_options(options)),
      self_attn_layer_norm_(vit::NormKind::layer_norm, options.dim, kNormEps),
      encoder_attn_(attention_options(options)),
      encoder_attn_layer_norm_(vit::NormKind::layer_norm, options.dim, kNormEps) {
  add_module("self_attn", self_attn_);
  add_module("self_attn_layer_norm", self_attn_layer_norm_);
  add_module("encoder_attn", encoder_attn_);
  add_module("encoder_attn_layer_norm", encoder_attn_layer_norm_);
  add_mlp_parameters();
}

Var DetrDecoderLayer::forward(Context& ctx, const Var& x, const Var& positions, const DetrMemory& memory) const {
  Var y = add_part(ctx, x, self_attn_layer_norm_, [&](const Var& input, const LinearOptions& epilogue) {
    vit::Scope scope(ctx, "self_attn");
    const Var placed = vit::add(ctx, input, positions);
    return self_attn_.forward(ctx, placed, placed, input, {}, epilogue);
  });
  y = add_part(ctx, y, encoder_attn_layer_norm_, [&](const Var& input, const LinearOptions& epilogue) {
    vit::Scope scope(ctx, "encoder_attn");
    return encoder_attn_.forward(ctx, vit::add(ctx, input, positions), memory.keys, memory.values, memory.masks,
                                 epilogue);
  });
  return add_mlp(ctx, y);
}

}  // namespace detection
