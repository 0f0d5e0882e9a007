#include "captioning/text_decoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vit/autograd/observed.h"

namespace captioning {

using vit::Context;
using vit::LinearOptions;
using vit::NormKind;
using vit::Scope;
using vit::str;
using vit::Tensor;
using vit::Var;

namespace {

NormKind when(bool condition) { return condition ? NormKind::layer_norm : NormKind::identity; }

const TextDecoderConfig& validated(const TextDecoderConfig& config) {
  config.validate();
  return config;
}

vit::AttentionOptions attention_options(const TextDecoderConfig& config) {
  return {.heads = config.num_heads,
          .head_dim = config.head_dim(),
          .scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim()))};
}

/// Hides later words, and those that the mask hides: [1 or B, 1, T, T].
Tensor word_bias(const Tensor& ids, const Tensor& mask) {
  vit::check(!mask.defined() || mask.shape() == ids.shape(), "text decoder: the mask must be ", ids.shape(), ", got ",
             mask.shape());
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  const int64_t length = ids.size(1), samples = mask.defined() ? ids.size(0) : 1;
  Tensor bias = Tensor::zeros({samples, 1, length, length});
  for (int64_t b = 0; b < samples; ++b)
    for (int64_t query = 0; query < length; ++query)
      for (int64_t key = 0; key < length; ++key)
        if (key > query || (mask.defined() && mask.data<int64_t>()[b * length + key] == 0))
          bias.f32()[(b * length + query) * length + key] = kHidden;
  return bias;
}

}  // namespace

void TextDecoderConfig::validate() const {
  if (embed_dim % num_heads != 0)
    vit::fail_usage("embed_dim ", embed_dim, " must be divisible by num_heads ", num_heads);
}

TextLayer::TextLayer(const TextDecoderConfig& config)
    : post_norm_(config.post_norm),
      norm1_(NormKind::layer_norm, config.embed_dim, config.norm_eps),
      norm_cross_(when(config.memory_dim > 0), config.embed_dim, config.norm_eps),
      norm2_(NormKind::layer_norm, config.embed_dim, config.norm_eps),
      qkv_(config.embed_dim, 3 * config.embed_dim),
      proj_(config.embed_dim, config.embed_dim),
      mlp_({.dim = config.embed_dim, .hidden = config.mlp_hidden, .activation = config.act}) {
  add_module("norm1", norm1_);
  add_module("self_attn.qkv", qkv_);
  add_module("self_attn.proj", proj_);
  if (config.memory_dim > 0) {
    add_module("norm_cross", norm_cross_);
    add_module("cross_attn.q", q_.emplace(config.embed_dim, config.embed_dim));
    add_module("cross_attn.kv", kv_.emplace(config.memory_dim, 2 * config.embed_dim));
    add_module("cross_attn.proj", cross_proj_.emplace(config.embed_dim, config.embed_dim));
  }
  add_module("norm2", norm2_);
  add_module("mlp", mlp_);
}

Var TextLayer::add(Context& ctx, const vit::Norm& norm, const Var& x, const Part& part) const {
  const Var h = post_norm_ ? x : norm.forward(ctx, x);
  const Var sum = ctx.training && dropout_ > 0.0f ? vit::add(ctx, x, vit::dropout(ctx, part(h, {}), dropout_))
                                                  : part(h, {.residual = x});
  return post_norm_ ? norm.forward(ctx, sum) : sum;
}

Var TextLayer::forward(Context& ctx, const Var& x, const Mix& words, const Mix& picture) const {
  Var y = add(ctx, norm1_, x, [&](const Var& h, const LinearOptions& skip) {
    Scope scope(ctx, "self_attn");
    return proj_.forward(ctx, words(ctx, qkv_.forward(ctx, h)), skip);
  });
  if (q_)
    y = add(ctx, norm_cross_, y, [&](const Var& h, const LinearOptions& skip) {
      Scope scope(ctx, "cross_attn");
      return cross_proj_->forward(ctx, picture(ctx, q_->forward(ctx, h)), skip);
    });
  return add(ctx, norm2_, y, [&](const Var& h, const LinearOptions& skip) {
    Scope scope(ctx, "mlp");
    return mlp_.forward(ctx, h, skip);
  });
}

void TextDecoder::Table::prepare() {
  if (packs) packed = vit::PackedWeight::pack(weight.value.value());
}

TextDecoder::TextDecoder(const TextDecoderConfig& config)
    : config_(validated(config)),
      embed_norm_(when(config.post_norm), config.embed_dim, config.norm_eps),
      norm_(when(!config.post_norm), config.embed_dim, config.norm_eps),
      head_norm_(when(config.post_norm && config.head), config.embed_dim, config.norm_eps) {
  const vit::Init init = vit::Init::truncated_normal(0.02f);
  tokens_.add_parameter("weight", tokens_.weight, {config.vocab_size, config.embed_dim}, init);
  tokens_.packs = config.head && config.tied_head;
  positions_.add_parameter("weight", positions_.weight, {config.positions, config.embed_dim}, init);
  add_module("tokens", tokens_);
  add_module("positions", positions_);
  add_module("embed_norm", embed_norm_);
  for (int64_t i = 0; i < config.depth; ++i) add_module(str("layers.", i), layers_.emplace_back(config));
  add_module("norm", norm_);
  if (!config.head) return;
  if (config.post_norm) {
    add_module("head_dense", head_dense_.emplace(config.embed_dim, config.embed_dim));
    add_module("head_norm", head_norm_);
    if (config.tied_head) add_parameter("head_bias", head_bias_, {config.vocab_size}, vit::Init::zeros());
  }
  if (!config.tied_head) add_module("head", head_.emplace(config.embed_dim, config.vocab_size, config.post_norm));
}

Var TextDecoder::embed(Context& ctx, const Tensor& ids, int64_t first) const {
  vit::check(ids.defined() && ids.rank() == 2 && ids.dtype() == vit::DType::i64 && ids.size(1) >= 1,
             "text decoder: expected ids i64 [B, T]");
  const int64_t length = ids.size(1);
  vit::check(first + length <= config_.positions, "text decoder: ", first + length, " tokens, and there are ",
             config_.positions, " positions");
  for (const int64_t id : ids.span<int64_t>())
    vit::check(id >= 0 && id < config_.vocab_size, "text decoder: the id ", id, " is not in the vocabulary of ",
               config_.vocab_size);
  const Var words = vit::embedding(ctx, tokens_.weight.value, ids);
  const Var places = vit::slice_rows(ctx, positions_.weight.value, first, first + length);
  const Var x = vit::add(ctx, words, vit::reshape(ctx, places, {1, length, config_.embed_dim}));
  return vit::dropout(ctx, embed_norm_.forward(ctx, x), training_.pos_drop_rate);
}

Var TextDecoder::run_layer(Context& ctx, size_t index, const Var& x, const Var& memory, const Tensor& bias) const {
  const TextLayer& layer = layers_[index];
  vit::AttentionOptions options = attention_options(config_);
  const int64_t dim = config_.embed_dim;
  const auto picture = [&](Context& inner, const Var& q) {
    const Var kv = layer.memory_keys(inner, memory);
    return vit::observed_attention(inner, {q, 0}, {kv, 0}, {kv, dim}, options);
  };
  const auto words = [&](Context& inner, const Var& qkv) {
    vit::AttentionOptions hidden = options;
    hidden.bias = bias;
    return vit::observed_attention(inner, {qkv, 0}, {qkv, dim}, {qkv, 2 * dim}, hidden);
  };
  return layer.forward(ctx, x, words, picture);
}

Var TextDecoder::features(Context& ctx, const Tensor& ids, const Tensor& mask, const Var& memory) const {
  Var x = embed(ctx, ids, 0);
  vit::check((config_.memory_dim == 0) == !memory.defined(), "text decoder: ",
             memory.defined() ? "a memory for words that look at no picture" : "there is no picture to look at");
  vit::check(!memory.defined() ||
                 (memory.value().rank() == 3 && memory.size(0) == ids.size(0) && memory.size(2) == config_.memory_dim),
             "text decoder: the picture's tokens must be [", ids.size(0), ", M, ", config_.memory_dim, "], got ",
             memory.shape());
  ctx.observe("hidden.0", x.value());
  const Tensor bias = word_bias(ids, mask);
  for (size_t i = 0; i < layers_.size(); ++i) {
    {
      Scope scope(ctx, "layers", static_cast<int64_t>(i));
      const auto layer = [this, i, memory, bias](Context& inner, const Var& tokens) {
        return run_layer(inner, i, tokens, memory, bias);
      };
      x = training_.grad_checkpointing ? vit::checkpoint(ctx, layer, x) : layer(ctx, x);
    }
    if (i + 1 == layers_.size()) x = norm_.forward(ctx, x);
    if (ctx.observer) ctx.observe(str("hidden.", i + 1), x.value());
  }
  return x;
}

Var TextDecoder::predict(Context& ctx, const Var& features) const {
  vit::check(config_.head, "text decoder: there is no head");
  Scope scope(ctx, "head");
  Var x = features;
  if (head_dense_) x = head_norm_.forward(ctx, head_dense_->forward(ctx, x, {.activation = config_.act}));
  return head_ ? head_->forward(ctx, x) : vit::linear(ctx, x, {tokens_.weight.value, tokens_.packed}, head_bias_.value);
}

void TextDecoder::set_training(const vit::TrainingOptions& options) {
  training_ = options;
  for (TextLayer& layer : layers_) layer.set_dropout(options.proj_drop_rate);
}

}  // namespace captioning
