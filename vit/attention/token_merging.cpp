#include "vit/attention/token_merging.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "vit/autograd/merge_tokens.h"
#include "vit/core/parallel.h"

namespace vit {

std::vector<int64_t> TokenMergingOptions::schedule(int64_t depth) const {
  constexpr int64_t kMost = 1 << 20;
  const auto read = [&](const ConfigNode& node) {
    return config_detail::read_int(node, 0, kMost, between(0, static_cast<double>(kMost)));
  };
  std::vector<int64_t> result;
  if (r.is_list()) {
    for (const ConfigNode& item : r.items()) result.push_back(read(item));
    if (static_cast<int64_t>(result.size()) != depth)
      r.refuse(str("a list of merged tokens has one number for each block: expected depth = ", depth, ", got ",
                   result.size()));
    return result;
  }
  const auto most = r.is_null() ? 0.0 : static_cast<double>(read(r));
  const double first = std::trunc(most * (1.0 - inflect)), last = 2.0 * most - first;
  const double steps = std::max<double>(1.0, static_cast<double>(depth - 1));
  for (int64_t i = 0; i < depth; ++i)
    result.push_back(static_cast<int64_t>(first + (last - first) * static_cast<double>(i) / steps));
  return result;
}

namespace {

/// Keys summed over heads and normalised: every other token, from `begin`, [B, ceil((N - begin) / 2), D].
Tensor metric_of(Context& ctx, const HeadColumns& keys, int64_t heads, int64_t head_dim, int64_t begin) {
  const Tensor& tokens = keys.tokens.value();
  const int64_t batch = tokens.size(0), count = tokens.size(1), stride = tokens.size(2);
  const int64_t half = (count - begin + 1) / 2;
  Tensor metric = ctx.arena.empty({batch, half, head_dim});
  parallel_for(batch, [&](int64_t b) {
    const auto& table = kernels::kernels();
    for (int64_t i = 0; i < half; ++i) {
      const float* key = tokens.f32() + (b * count + begin + 2 * i) * stride + keys.first;
      table.sum_rows(metric.f32() + (b * half + i) * head_dim, key, head_dim, heads, head_dim, false);
    }
    float* metric_b = metric.f32() + b * half * head_dim;
    table.l2_norm(metric_b, head_dim, metric_b, head_dim, half, head_dim, 1e-12f);
  });
  return metric;
}

/// Places of one sample's tokens. All memory is there from the start, so that find() and number() cannot throw.
class SampleMatching {
 public:
  SampleMatching(int64_t tokens, int64_t prefix)
      : tokens_(tokens),
        prefix_(prefix),
        in_a_((tokens + 1) / 2),
        in_b_(tokens / 2),
        similarity_(static_cast<size_t>(in_a_)),
        partner_(static_cast<size_t>(in_a_)),
        order_(static_cast<size_t>(in_a_)),
        goes_(static_cast<size_t>(in_a_)) {}

  /// The best `merged` pairs by the scores [Na, Nb] of A and B.
  void find(const float* scores, int64_t merged) {
    find_partners(scores);
    std::iota(order_.begin(), order_.end(), int64_t{0});
    const auto better = [&](int64_t i, int64_t j) {
      const float similarity_i = similarity_[static_cast<size_t>(i)],
                  similarity_j = similarity_[static_cast<size_t>(j)];
      return similarity_i != similarity_j ? similarity_i > similarity_j : i < j;
    };
    std::nth_element(order_.begin(), order_.begin() + merged, order_.end(), better);
    std::fill(goes_.begin(), goes_.end(), false);
    for (int64_t i = 0; i < merged; ++i) goes_[static_cast<size_t>(order_[static_cast<size_t>(i)])] = true;
  }

  void number(int64_t* place) const {
    int64_t next = 0;
    for (; next < prefix_; ++next) place[next] = next;
    for (int64_t n = 0; n < tokens_; n += 2)
      if (n >= prefix_ && !goes_[static_cast<size_t>(n / 2)]) place[n] = next++;
    for (int64_t n = 1; n < tokens_; n += 2)
      if (n >= prefix_) place[n] = next++;
    for (int64_t n = 0; n < tokens_; n += 2)
      if (goes_[static_cast<size_t>(n / 2)]) place[n] = place[2 * partner_[static_cast<size_t>(n / 2)] + 1];
  }

 private:
  void find_partners(const float* scores) {
    std::fill(similarity_.begin(), similarity_.end(), -std::numeric_limits<float>::infinity());
    std::fill(partner_.begin(), partner_.end(), int64_t{0});
    for (int64_t i = 0; i < in_a_; ++i) {
      if (2 * i < prefix_) continue;
      float& best = similarity_[static_cast<size_t>(i)];
      // NaN is never better; where no number is, the first partner that may be merged stands.
      best = -std::numeric_limits<float>::max();
      partner_[static_cast<size_t>(i)] = prefix_ / 2;
      for (int64_t j = prefix_ / 2; j < in_b_; ++j) {
        if (!(scores[i * in_b_ + j] > best)) continue;
        best = scores[i * in_b_ + j];
        partner_[static_cast<size_t>(i)] = j;
      }
    }
  }

  int64_t tokens_, prefix_, in_a_, in_b_;
  std::vector<float> similarity_;
  std::vector<int64_t> partner_, order_;
  std::vector<bool> goes_;
};

}  // namespace

TokenMatching match_tokens(Context& ctx, const HeadColumns& keys, int64_t heads, int64_t head_dim,
                           int64_t prefix_tokens, int64_t r) {
  StageTimer timer(ctx.profile, "match_tokens");
  const int64_t batch = keys.tokens.size(0), tokens = keys.tokens.size(1);
  check(prefix_tokens >= 0 && prefix_tokens <= tokens && r >= 0, "match_tokens: ", prefix_tokens, " prefix tokens of ",
        tokens, ", ", r, " to merge");
  const int64_t merged = std::min(r, (tokens - prefix_tokens) / 2);
  TokenMatching matching{.place = Tensor::empty({batch, tokens}, DType::i64), .count = tokens - merged};
  if (merged == 0) {
    for (int64_t i = 0; i < batch * tokens; ++i) matching.place.data<int64_t>()[i] = i % tokens;
    return matching;
  }
  const Tensor a = metric_of(ctx, keys, heads, head_dim, 0), b = metric_of(ctx, keys, heads, head_dim, 1);
  const Tensor scores = attention_scores(ctx, {a, 0}, {b, 0}, {.heads = 1, .head_dim = head_dim, .scale = 1.0f});
  std::vector<SampleMatching> samples(static_cast<size_t>(batch), SampleMatching(tokens, prefix_tokens));
  parallel_for(batch, [&](int64_t sample) {
    SampleMatching& found = samples[static_cast<size_t>(sample)];
    found.find(scores.f32() + sample * a.size(1) * b.size(1), merged);
    found.number(matching.place.data<int64_t>() + sample * tokens);
  });
  return matching;
}

Var MergedTokens::bias(Context& ctx) const {
  if (!sizes.defined()) return {};
  Tensor logarithms = ctx.arena.empty({sizes.size(0), 1, 1, sizes.size(1)});
  for (int64_t i = 0; i < sizes.numel(); ++i) logarithms.f32()[i] = std::log(sizes.f32()[i]);
  return logarithms;
}

Var merge(Context& ctx, const Var& x, const TokenMatching& matching, MergedTokens& merged) {
  const int64_t batch = x.size(0), tokens = x.size(1);
  const Tensor before = merged.sizes.defined() ? merged.sizes : Tensor::full({batch, tokens}, 1.0f);
  const Tensor source = merged.source.defined() ? merged.source : Tensor();
  const int64_t* place = matching.place.data<int64_t>();
  const Var y = merge_tokens(ctx, x, matching.place, before, matching.count);

  merged.sizes = Tensor::zeros({batch, matching.count});
  for (int64_t i = 0; i < batch * tokens; ++i)
    merged.sizes.f32()[i / tokens * matching.count + place[i]] += before.f32()[i];
  if (!source.defined()) {
    merged.source = matching.place;
    return y;
  }
  merged.source = Tensor::empty(source.shape(), DType::i64);
  const int64_t first_tokens = source.size(1);
  for (int64_t i = 0; i < source.numel(); ++i)
    merged.source.data<int64_t>()[i] = place[i / first_tokens * tokens + source.data<int64_t>()[i]];
  return y;
}

}  // namespace vit
