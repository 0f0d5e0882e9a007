#include "vit/attention/grouped.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// The same groups, whose keys are counted with the prefix tokens, which every group sees first.
TokenGroups with_prefix(const TokenGroups& groups, int64_t prefix) {
  // [G, Mk], or [B, G, Mk] where samples differ.
  const int64_t before = groups.keys.size(-1), count = groups.keys.shape().rows(), after = prefix + before;
  std::vector<int64_t> extents(groups.keys.shape().begin(), groups.keys.shape().end());
  extents.back() = after;
  Tensor keys = Tensor::empty(Shape(extents), DType::i64);
  const int64_t* from = groups.keys.data<int64_t>();
  int64_t* to = keys.data<int64_t>();
  for (int64_t group = 0; group < count; ++group, from += before, to += after) {
    for (int64_t i = 0; i < prefix; ++i) to[i] = i;
    for (int64_t i = 0; i < before; ++i) to[prefix + i] = from[i] < 0 ? -1 : prefix + from[i];
  }
  return {groups.queries, std::move(keys)};
}

/// x [K, Mq, Mk] with zeros for the prefix tokens in front of the keys; undefined stays so.
Var behind_prefix(Context& ctx, const Var& x, int64_t prefix) {
  if (!x.defined() || prefix == 0) return x;
  return concat(ctx, {Tensor::zeros({x.size(0), x.size(1), prefix}), x}, 2);
}

/// What the op is asked for the patches, where P tokens in front of them are prefix tokens that only are keys.
struct PatchQuestion {
  HeadColumns asking;
  TokenGroups groups;
  GroupedAttentionOptions options;

  PatchQuestion(Context& ctx, const GroupedHeads& heads, int64_t prefix)
      : asking(heads.q),
        groups(prefix > 0 ? with_prefix(heads.groups, prefix) : heads.groups),
        options{.heads = heads.heads,
                .head_dim = heads.head_dim,
                .scale = 1.0f / std::sqrt(static_cast<float>(heads.head_dim)),
                .bias = behind_prefix(ctx, heads.bias, prefix),
                .mask = behind_prefix(ctx, heads.mask, prefix).value(),
                .mask_of = heads.mask_of,
                .filler = heads.filler} {
    if (prefix > 0) asking.tokens = slice_tokens(ctx, heads.q.tokens, prefix, heads.q.tokens.size(1));
  }
};

AttentionOptions plain_options(const GroupedHeads& heads) {
  return {
      .heads = heads.heads, .head_dim = heads.head_dim, .scale = 1.0f / std::sqrt(static_cast<float>(heads.head_dim))};
}

/// Some of the heads: [B, P + N, H * D], or the first wanted tokens of it.
Var attend_part(Context& ctx, const GroupedHeads& heads, const AttentionInput& input) {
  const int64_t prefix = input.prefix_tokens, wanted = input.wanted_tokens;
  const AttentionOptions options = plain_options(heads);
  Var mixed;
  if (prefix > 0) {
    const Var asking = slice_tokens(ctx, heads.q.tokens, 0, prefix);
    mixed = attention(ctx, {asking, heads.q.first}, heads.k, heads.v, options);
  }
  if (wanted == 0 || wanted > prefix) {
    const PatchQuestion question(ctx, heads, prefix);
    const Var patches = grouped_attention(ctx, question.asking, heads.k, heads.v, question.groups, question.options);
    mixed = prefix > 0 ? concat_tokens(ctx, mixed, patches) : patches;
  }
  return wanted > 0 && wanted < mixed.size(1) ? slice_tokens(ctx, mixed, 0, wanted) : mixed;
}

/// The masks where plain attention wants them: [N, N], zeros where there is none.
Tensor spread_group_mask(const GroupedHeads& heads, int64_t tokens, int64_t prefix) {
  const int64_t all = prefix + tokens, asking = heads.groups.queries.size(1), seen = heads.groups.keys.size(1);
  const Tensor spread = Tensor::zeros({1, all, all});
  for (int64_t group = 0; group < heads.groups.queries.size(0); ++group) {
    const int64_t kind = heads.mask_of.data<int64_t>()[group];
    const int64_t* queries = heads.groups.queries.data<int64_t>() + group * asking;
    const int64_t* keys = heads.groups.keys.data<int64_t>() + group * seen;
    for (int64_t q = 0; kind >= 0 && q < asking; ++q)
      for (int64_t k = 0; k < seen; ++k)
        if (queries[q] >= 0 && keys[k] >= 0)
          spread.f32()[(prefix + queries[q]) * all + prefix + keys[k]] =
              heads.mask.f32()[(kind * asking + q) * seen + k];
  }
  return spread;
}

/// Probabilities of some of the heads, over all tokens: [B, H, N, N].
Tensor probs_of(Context& ctx, const GroupedHeads& heads, const AttentionInput& input) {
  const int64_t prefix = input.prefix_tokens;
  const PatchQuestion question(ctx, heads, prefix);
  const Tensor patches = grouped_attention_probs(ctx, question.asking, heads.k, question.groups, question.options);
  if (prefix == 0) return patches;
  const Var asking = slice_tokens(ctx, heads.q.tokens, 0, prefix);
  return concat(ctx, {attention_probs(ctx, {asking, heads.q.first}, heads.k, plain_options(heads)), patches}, 2)
      .value();
}

/// spread_group_bias() of groups that may differ between samples: [H or 1, N, N], or [B, H or 1, N, N].
Var spread_bias(Context& ctx, const GroupedHeads& heads, int64_t patches, int64_t prefix) {
  const Tensor& keys = heads.groups.keys;
  if (keys.rank() == 2) return spread_group_bias(heads.groups, heads.bias, patches, prefix);
  std::vector<Var> samples;
  for (int64_t b = 0; b < keys.size(0); ++b) {
    const TokenGroups of_sample{heads.groups.queries, keys.slice(b, b + 1).view({keys.size(1), keys.size(2)})};
    const Tensor spread = spread_group_bias(of_sample, heads.bias, patches, prefix);
    samples.emplace_back(spread.view({1, spread.size(0), spread.size(1), spread.size(2)}));
  }
  return concat(ctx, samples, 0);
}

/// Scores of some of the heads, likewise.
Tensor scores_of(Context& ctx, const GroupedHeads& heads, const AttentionInput& input) {
  AttentionOptions options = plain_options(heads);
  const int64_t patches = heads.q.tokens.size(1) - input.prefix_tokens;
  options.bias = spread_bias(ctx, heads, patches, input.prefix_tokens);
  if (heads.mask.defined())
    options.bias = add(ctx, options.bias, spread_group_mask(heads, patches, input.prefix_tokens));
  return attention_scores(ctx, heads.q, heads.k, options);
}

Tensor joined_heads(Context& ctx, const std::vector<GroupedHeads>& parts, const AttentionInput& input,
                    Tensor (*of)(Context&, const GroupedHeads&, const AttentionInput&)) {
  std::vector<Var> pieces;
  for (const GroupedHeads& heads : parts) pieces.emplace_back(of(ctx, heads, input));
  return pieces.size() == 1 ? pieces[0].value() : concat(ctx, pieces, 1).value();
}

}  // namespace

Tensor spread_group_bias(const TokenGroups& groups, const Var& bias, int64_t tokens, int64_t prefix_tokens) {
  const int64_t heads = bias.defined() ? bias.size(0) : 1, all = prefix_tokens + tokens;
  const int64_t count = groups.queries.size(0), asking = groups.queries.size(1), seen = groups.keys.size(1);
  const Tensor spread = Tensor::full({heads, all, all}, -std::numeric_limits<float>::infinity());
  for (int64_t head = 0; head < heads; ++head) {
    float* of_head = spread.f32() + head * all * all;
    const float* bias_h = bias.defined() ? bias.value().f32() + head * asking * seen : nullptr;
    std::fill_n(of_head, prefix_tokens * all, 0.0f);
    for (int64_t token = prefix_tokens; token < all; ++token) std::fill_n(of_head + token * all, prefix_tokens, 0.0f);
    for (int64_t group = 0; group < count; ++group) {
      const int64_t* queries = groups.queries.data<int64_t>() + group * asking;
      const int64_t* keys = groups.keys.data<int64_t>() + group * seen;
      for (int64_t q = 0; q < asking; ++q)
        for (int64_t k = 0; k < seen; ++k)
          if (queries[q] >= 0 && keys[k] >= 0)
            of_head[(prefix_tokens + queries[q]) * all + prefix_tokens + keys[k]] =
                bias_h ? bias_h[q * seen + k] : 0.0f;
    }
  }
  return spread;
}

Var attend_in_groups(Context& ctx, const std::vector<GroupedHeads>& parts, const AttentionInput& input) {
  if (input.bias.defined())
    fail_usage("attention within groups of tokens takes no bias between all tokens; use attention: self");
  if (ctx.wants("probs")) ctx.observe("probs", joined_heads(ctx, parts, input, probs_of));
  if (ctx.wants("scores")) ctx.observe("scores", joined_heads(ctx, parts, input, scores_of));
  std::vector<Var> mixed;
  std::vector<MixedValues> values;
  for (const GroupedHeads& heads : parts) {
    mixed.push_back(attend_part(ctx, heads, input));
    if (ctx.observer) values.push_back({heads.v, heads.heads, heads.head_dim});
  }
  const Var joined = mixed.size() == 1 ? mixed[0] : concat(ctx, mixed, 2);
  return ctx.observer ? with_probs_gradient(ctx, joined, values) : joined;
}

}  // namespace vit
