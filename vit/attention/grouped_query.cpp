// Grouped-query attention (Ainslie et al. 2023, section 2.2): H heads of queries share num_kv_heads heads of keys and
// values, neighbours together. One such head is multi-query attention (Shazeer 2019), H are plain self-attention.
//
// Nothing is copied per head: the queries that share keys become more queries of the same head, [B, N * H / K, K * D],
// and the attention kernel packs each head's keys and values once for all of them.
#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

namespace {

struct GroupedQueryOptions {
  int64_t num_kv_heads = 1;
  bool qkv_bias = true;
  NormKind qk_norm = NormKind::identity;
  float norm_eps = 1e-6f;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("num_kv_heads", num_kv_heads, "Heads of keys and values; they divide num_heads. 1: multi-query attention.",
      between(1, 1024));
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("qk_norm", qk_norm, "Normalises queries and keys, per head, before their product.");
    v("norm_eps", norm_eps, "Epsilon of these norms.", above(0));
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

class GroupedQueryAttention : public Attention {
 public:
  using Options = GroupedQueryOptions;
  /// Errors (usage): dim is not divisible by num_heads, or num_heads by num_kv_heads.
  GroupedQueryAttention(const AttentionShape& shape, const GroupedQueryOptions& options)
      : dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(head_dim_of(shape)),
        kv_heads_(options.num_kv_heads),
        qkv_(shape.dim, shape.dim + 2 * kv_heads_ * head_dim_, options.qkv_bias),
        q_norm_(options.qk_norm, head_dim_, options.norm_eps),
        k_norm_(options.qk_norm, head_dim_, options.norm_eps),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    if (heads_ % kv_heads_ != 0) fail_usage("num_kv_heads ", kv_heads_, " must divide num_heads ", heads_);
    add_module("qkv", qkv_);
    add_module("q_norm", q_norm_);
    add_module("k_norm", k_norm_);
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    Var qkv = qkv_.forward(ctx, x);
    qkv = q_norm_.forward_heads(ctx, {qkv, 0}, heads_);
    qkv = k_norm_.forward_heads(ctx, {qkv, dim_}, kv_heads_);
    const int64_t asking = input.wanted_tokens > 0 ? input.wanted_tokens : x.size(1);
    const HeadColumns q{gather_queries(ctx, qkv, asking)}, k{qkv, dim_}, v{qkv, dim_ + kv_heads_ * head_dim_};
    const AttentionOptions options{.heads = kv_heads_,
                                   .head_dim = head_dim_,
                                   .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_)),
                                   .bias = gather_bias(ctx, input.bias, asking)};
    if (ctx.wants("probs")) ctx.observe("probs", by_head(ctx, attention_probs(ctx, q, k, options), asking));
    if (ctx.wants("scores")) ctx.observe("scores", by_head(ctx, attention_scores(ctx, q, k, options), asking));
    const Var mixed = spread(ctx, attention(ctx, q, k, v, options), asking);
    return proj_.forward(ctx, mixed, input.residual);
  }

 private:
  int64_t sharing() const { return heads_ / kv_heads_; }

  /// The queries of the first tokens, [B, n, H * D] inside qkv -> [B, n * sharing, kv_heads * D].
  Var gather_queries(Context& ctx, const Var& qkv, int64_t asking) const {
    Var q = slice_features(ctx, asking < qkv.size(1) ? slice_tokens(ctx, qkv, 0, asking) : qkv, 0, dim_);
    const int64_t batch = q.size(0);
    if (kv_heads_ > 1 && sharing() > 1)
      q = permute(ctx, reshape(ctx, q, {batch, asking, kv_heads_, sharing(), head_dim_}), {0, 1, 3, 2, 4});
    return reshape(ctx, q, {batch, asking * sharing(), kv_heads_ * head_dim_});
  }

  /// Back again, with the heads in their own order: -> [B, n, H * D].
  Var spread(Context& ctx, Var y, int64_t asking) const {
    const int64_t batch = y.size(0);
    if (kv_heads_ > 1 && sharing() > 1)
      y = permute(ctx, reshape(ctx, y, {batch, asking, sharing(), kv_heads_, head_dim_}), {0, 1, 3, 2, 4});
    return reshape(ctx, y, {batch, asking, dim_});
  }

  /// A bias [H or 1, n or more, Nk] for the gathered queries: [kv_heads or 1, n * sharing, Nk]. One row for all of
  /// them, [B, 1, 1, Nk], stays.
  Var gather_bias(Context& ctx, const Var& bias, int64_t asking) const {
    if (!bias.defined() || bias.shape().rank() == 4) return bias;
    const int64_t keys = bias.size(-1), biased = bias.size(0) == 1 ? 1 : kv_heads_;
    Var rows = reshape(ctx, slice(ctx, bias, 1, 0, asking), {biased, bias.size(0) / biased, asking, keys});
    if (rows.size(1) < sharing()) rows = concat(ctx, std::vector<Var>(static_cast<size_t>(sharing()), rows), 1);
    return reshape(ctx, permute(ctx, rows, {0, 2, 1, 3}), {biased, asking * sharing(), keys});
  }

  /// What observers get: [B, kv_heads, n * sharing, Nk] -> [B, H, n, Nk].
  Tensor by_head(Context& ctx, const Tensor& scores, int64_t asking) const {
    const int64_t batch = scores.size(0), keys = scores.size(3);
    const Var split = reshape(ctx, scores, {batch, kv_heads_, asking, sharing(), keys});
    return reshape(ctx, permute(ctx, split, {0, 1, 3, 2, 4}), {batch, heads_, asking, keys}).value();
  }

  int64_t dim_, heads_, head_dim_, kv_heads_;
  Linear qkv_;
  Norm q_norm_, k_norm_;
  Linear proj_;
};

VITKIT_REGISTER_ATTENTION("grouped_query", GroupedQueryAttention, .family = AttentionFamily::spatial,
                          .summary = "self-attention whose heads share keys and values in groups (one: multi-query)",
                          .formula = "softmax(q_h k_g^T / sqrt(D)) v_g, g = h / (H / K)",
                          .source = "Ainslie et al. 2023, section 2.2; Shazeer 2019", .complexity = "O(N^2 C)",
                          .equivariance = Equivariance::tokens);

}  // namespace

}  // namespace vit
