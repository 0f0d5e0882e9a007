#include "vit/heads/classifier.h"

#include "vit/autograd/merge_tokens.h"

namespace vit {

const std::vector<std::pair<Pool, std::string>>& enum_names(Pool) {
  static const std::vector<std::pair<Pool, std::string>> names = {{Pool::token, "token"},
                                                                  {Pool::avg, "avg"},
                                                                  {Pool::max, "max"},
                                                                  {Pool::avgmax, "avgmax"},
                                                                  {Pool::token_and_avg, "token_and_avg"},
                                                                  {Pool::map, "map"}};
  return names;
}

ClassifierHead::ClassifierHead(const ClassifierHeadOptions& options)
    : options_(options), fc_norm_(options.norm, options.dim, options.norm_eps) {
  if (options.pool == Pool::map)
    add_module("attn_pool", attn_pool_.emplace(AttentionShape{.dim = options.dim, .num_heads = options.num_heads},
                                               options.attn_pool));
  add_module("fc_norm", fc_norm_);
  add_module("", projections_);
  replace(options.num_classes);
}

std::vector<std::string> ClassifierHead::replace(int64_t num_classes) {
  options_.num_classes = num_classes;
  const int64_t features = options_.pool == Pool::token_and_avg ? 2 * options_.dim : options_.dim;
  projections_.clear_modules();
  std::vector<std::string> names;
  const auto add = [&](const std::string& name, std::optional<Linear>& projection) {
    projections_.add(name, projection.emplace(features, num_classes));
    names.insert(names.end(), {name + ".weight", name + ".bias"});
  };
  head_.reset();
  head_dist_.reset();
  if (num_classes > 0) add("head", head_);
  if (num_classes > 0 && options_.distilled) add("head_dist", head_dist_);
  return names;
}

int64_t ClassifierHead::wanted_tokens() const {
  if (options_.distilled) return 2;
  return options_.pool == Pool::token ? 1 : 0;
}

namespace {

/// Mean over tokens first..N-1, each as often as it has patches: [B, N, C] -> [B, C]
Var mean_tokens(Context& ctx, const Var& features, int64_t first, const Tensor& sizes) {
  if (!sizes.defined()) return reduce_tokens(ctx, features, first, Reduction::mean);
  const int64_t batch = features.size(0), tokens = features.size(1) - first;
  const Tensor weights = slice_features(ctx, sizes, first, first + tokens).value();
  const Var mean = merge_tokens(ctx, slice_tokens(ctx, features, first, first + tokens),
                                Tensor::zeros({batch, tokens}, DType::i64), weights, 1);
  return reshape(ctx, mean, {batch, features.size(2)});
}

}  // namespace

Var ClassifierHead::pool(Context& ctx, const Var& features, const MergedTokens& merged) const {
  const int64_t first = options_.pool_prefix ? 0 : options_.prefix_tokens;
  switch (options_.pool) {
    case Pool::token:
      return select_token(ctx, features, 0);
    case Pool::avg:
      return mean_tokens(ctx, features, first, merged.sizes);
    case Pool::max:
      return reduce_tokens(ctx, features, first, Reduction::max);
    case Pool::avgmax:
      return average(ctx, mean_tokens(ctx, features, first, merged.sizes),
                     reduce_tokens(ctx, features, first, Reduction::max));
    case Pool::token_and_avg:
      return concat_features(ctx, select_token(ctx, features, 0), mean_tokens(ctx, features, first, merged.sizes));
    case Pool::map: {
      Scope scope(ctx, "attn_pool");
      return attn_pool_->pool(ctx, features, merged.bias(ctx));
    }
  }
  fail("classifier head: invalid pool");
}

Var ClassifierHead::forward(Context& ctx, const Var& features, const MergedTokens& merged) const {
  if (options_.distilled) return forward_distilled(ctx, features);
  const Var pooled = fc_norm_.forward(ctx, pool(ctx, features, merged));
  ctx.observe("pre_logits", pooled.value());
  return head_ ? head_->forward(ctx, dropout(ctx, pooled, drop_rate_)) : pooled;
}

// timm's VisionTransformerDistilled at inference: each head reads its token, and the answers are averaged.
Var ClassifierHead::forward_distilled(Context& ctx, const Var& features) const {
  const Var cls = select_token(ctx, features, 0);
  const Var dist = select_token(ctx, features, 1);
  if (ctx.wants("pre_logits")) ctx.observe("pre_logits", average(ctx, cls, dist).value());
  if (!head_) return average(ctx, cls, dist);
  const Var logits_cls = head_->forward(ctx, cls);
  const Var logits_dist = head_dist_->forward(ctx, dist);
  ctx.observe("logits_cls", logits_cls.value());
  ctx.observe("logits_dist", logits_dist.value());
  return average(ctx, logits_cls, logits_dist);
}

}  // namespace vit
