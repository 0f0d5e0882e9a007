#include "vit/nn/multihead_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// Value that a mask adds to one score.
float added(const Tensor& mask, int64_t at) {
  if (mask.dtype() == DType::boolean) return mask.data<bool>()[at] ? -std::numeric_limits<float>::infinity() : 0.0f;
  return mask.f32()[at];
}

/// One tensor, with one place for its gradient.
bool is_one(const Var& a, const Var& b) {
  return a.value().raw() == b.value().raw() && a.shape() == b.shape() &&
         (a.same(b) || (!a.requires_grad() && !b.requires_grad()));
}

}  // namespace

MultiheadAttention::MultiheadAttention(const MultiheadAttentionOptions& options)
    : options_(options), out_proj_(options.embed_dim, options.embed_dim, options.bias) {
  const int64_t dim = options.embed_dim;
  if (options_.kdim == 0) options_.kdim = dim;
  if (options_.vdim == 0) options_.vdim = dim;
  if (options.num_heads <= 0 || dim % options.num_heads != 0)
    fail_usage("multihead attention: embed_dim ", dim, " must be divisible by num_heads ", options.num_heads);
  one_weight_ = options_.kdim == dim && options_.vdim == dim;
  const auto xavier = [](int64_t out, int64_t in) {
    return Init::normal(std::sqrt(2.0f / static_cast<float>(out + in)));
  };
  if (one_weight_) {
    add_parameter("in_proj_weight", in_proj_weight_, {3 * dim, dim}, xavier(3 * dim, dim));
  } else {
    add_parameter("q_proj_weight", q_proj_weight_, {dim, dim}, xavier(dim, dim));
    add_parameter("k_proj_weight", k_proj_weight_, {dim, options_.kdim}, xavier(dim, options_.kdim));
    add_parameter("v_proj_weight", v_proj_weight_, {dim, options_.vdim}, xavier(dim, options_.vdim));
  }
  if (options.bias) add_parameter("in_proj_bias", in_proj_bias_, {3 * dim}, Init::zeros());
  if (options.add_bias_kv) {
    add_parameter("bias_k", bias_k_, {1, 1, dim}, xavier(1, dim));
    add_parameter("bias_v", bias_v_, {1, 1, dim}, xavier(1, dim));
  }
  add_module("out_proj", out_proj_);
}

MultiheadAttention::Projected MultiheadAttention::project(Context& ctx, const Var& query, const Var& key,
                                                          const Var& value) const {
  const int64_t dim = options_.embed_dim;
  if (one_weight_ && !prepared_ && is_one(query, key) && is_one(key, value)) {
    const Var qkv = linear(ctx, query, {in_proj_weight_.value, PackedWeight()}, in_proj_bias_.value);
    return {qkv, qkv, qkv, 0, dim, 2 * dim};
  }
  return {project_part(ctx, query, q_proj_weight_, 0),
          project_part(ctx, key, k_proj_weight_, 1),
          project_part(ctx, value, v_proj_weight_, 2),
          0,
          0,
          0};
}

Var MultiheadAttention::project_part(Context& ctx, const Var& x, const Parameter& own_weight, int64_t index) const {
  const Part& part = parts_[static_cast<size_t>(index)];
  if (prepared_) return linear(ctx, x, {Var(), part.packed}, part.bias);
  const int64_t first = index * options_.embed_dim, last = first + options_.embed_dim;
  const Var weight = one_weight_ ? slice_rows(ctx, in_proj_weight_.value, first, last) : own_weight.value;
  const Var bias = in_proj_bias_.value.defined() ? slice_rows(ctx, in_proj_bias_.value, first, last) : Var();
  return linear(ctx, x, {weight, PackedWeight()}, bias);
}

void MultiheadAttention::prepare() {
  const std::array<Parameter*, 3> own = {&q_proj_weight_, &k_proj_weight_, &v_proj_weight_};
  for (size_t i = 0; i < parts_.size(); ++i) {
    const int64_t first = static_cast<int64_t>(i) * options_.embed_dim, last = first + options_.embed_dim;
    parts_[i].packed =
        PackedWeight::pack(one_weight_ ? in_proj_weight_.value.value().slice(first, last) : own[i]->value.value());
    if (in_proj_bias_.value.defined()) parts_[i].bias = in_proj_bias_.value.value().slice(first, last).clone();
    own[i]->value = {};
  }
  in_proj_weight_.value = in_proj_bias_.value = {};
  prepared_ = true;
}

Tensor MultiheadAttention::merge(Context& ctx, const AttentionMasks& masks, int64_t batch, int64_t queries,
                                 int64_t keys, int64_t extra) const {
  const Tensor &padding = masks.key_padding, &attention = masks.attention;
  if (!padding.defined() && !attention.defined()) return {};
  const int64_t heads = options_.num_heads;
  check(!padding.defined() || padding.shape() == Shape({batch, keys}), "multihead attention: key_padding must be [",
        batch, ", ", keys, "], got ", padding.shape());
  const bool per_head = attention.defined() && attention.rank() == 3;
  check(!attention.defined() || attention.shape() == Shape({queries, keys}) ||
            attention.shape() == Shape({batch * heads, queries, keys}),
        "multihead attention: the mask must be [", queries, ", ", keys, "] or [", batch * heads, ", ", queries, ", ",
        keys, "], got ", attention.shape());
  const int64_t samples = padding.defined() || per_head ? batch : 1, planes = per_head ? heads : 1;
  const int64_t rows = attention.defined() ? queries : 1, width = keys + extra;
  Tensor merged = ctx.arena.empty({samples, planes, rows, width});
  std::fill_n(merged.f32(), merged.numel(), 0.0f);
  for (int64_t plane = 0; plane < samples * planes; ++plane)
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t key = 0; key < keys; ++key) {
        float& sum = merged.f32()[(plane * rows + row) * width + key];
        if (padding.defined()) sum += added(padding, plane / planes * keys + key);
        if (attention.defined()) sum += added(attention, ((per_head ? plane : 0) * queries + row) * keys + key);
      }
  return merged;
}

Var MultiheadAttention::mix(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                            const AttentionOptions& options) const {
  if (!ctx.training || options_.dropout == 0.0f) return observed_attention(ctx, q, k, v, options);
  if (ctx.wants("probs")) ctx.observe("probs", attention_probs(ctx, q, k, options));
  // The fused op keeps no probabilities that could be left out.
  const auto heads = [&](const HeadColumns& columns) {
    return split_heads(ctx, columns, options.heads, options.head_dim);
  };
  Var scores = matmul(ctx, heads(q), heads(k), {.transpose_b = true, .scale = options.scale});
  if (options.bias.defined()) scores = add(ctx, scores, options.bias);
  return merge_heads(ctx, matmul(ctx, dropout(ctx, softmax(ctx, scores), options_.dropout), heads(v)));
}

Var MultiheadAttention::forward(Context& ctx, const Var& query, const Var& key, const Var& value,
                                const AttentionMasks& masks, const LinearOptions& output) const {
  Projected p = project(ctx, query, key, value);
  const int64_t dim = options_.embed_dim, keys = key.size(1);
  const auto append = [&](const Var& key_row, const Var& value_row) {
    // The extra rows follow the projected ones, so packed keys and values are taken apart first.
    const auto columns = [&](const Var& tokens, int64_t first) {
      return first == 0 && tokens.size(2) == dim ? tokens : slice_features(ctx, tokens, first, first + dim);
    };
    p.k = concat_tokens(ctx, columns(p.k, p.k_first), key_row);
    p.v = concat_tokens(ctx, columns(p.v, p.v_first), value_row);
    p.k_first = p.v_first = 0;
  };
  if (options_.add_bias_kv) append(bias_k_.value, bias_v_.value);
  if (options_.add_zero_attn) append(Tensor::zeros({1, 1, dim}), Tensor::zeros({1, 1, dim}));
  const int64_t head_dim = dim / options_.num_heads;
  const AttentionOptions options{.heads = options_.num_heads,
                                 .head_dim = head_dim,
                                 .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
                                 .bias = merge(ctx, masks, query.size(0), query.size(1), keys, p.k.size(1) - keys)};
  return out_proj_.forward(ctx, mix(ctx, {p.q, p.q_first}, {p.k, p.k_first}, {p.v, p.v_first}, options), output);
}

}  // namespace vit
