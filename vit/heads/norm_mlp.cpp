#include "vit/heads/norm_mlp.h"

namespace vit {

NormMlpHead::NormMlpHead(const NormMlpHeadOptions& options) : options_(options) {
  if (options.pool != Pool::avg && options.pool != Pool::max && options.pool != Pool::avgmax)
    fail_usage("global_pool: a map has no class token; choose avg, max or avgmax");
  if (options.norm) add_module("norm", norm_.emplace(*options.norm, options.dim, options.norm_eps));
  if (options.hidden_size) add_module("pre_logits.fc", pre_logits_.emplace(options.dim, *options.hidden_size));
  add_module("", classifier_);
  replace(options.num_classes);
}

void NormMlpHead::Classifier::set(int64_t inputs, int64_t num_classes) {
  clear_modules();
  fc = num_classes > 0 ? std::make_unique<Linear>(inputs, num_classes) : nullptr;
  if (fc) add_module("fc", *fc);
}

std::vector<std::string> NormMlpHead::replace(int64_t num_classes) {
  options_.num_classes = num_classes;
  classifier_.set(options_.hidden_size.value_or(options_.dim), num_classes);
  if (num_classes == 0) return {};
  return {"fc.weight", "fc.bias"};
}

Var NormMlpHead::pool(Context& ctx, const Var& tokens) const {
  if (options_.pool == Pool::max) return reduce_tokens(ctx, tokens, 0, Reduction::max);
  const Var mean = reduce_tokens(ctx, tokens, 0, Reduction::mean);
  return options_.pool == Pool::avg ? mean : average(ctx, mean, reduce_tokens(ctx, tokens, 0, Reduction::max));
}

Var NormMlpHead::forward(Context& ctx, const Var& x) const {
  const int64_t batch = x.size(0), channels = options_.dim;
  const Var tokens = reshape(ctx, x, {batch, x.value().numel() / std::max<int64_t>(1, batch * channels), channels});
  Var y = pool(ctx, tokens);
  if (norm_) y = norm_->forward(ctx, y);
  if (pre_logits_) y = pre_logits_->forward(ctx, y, {.activation = Activation::tanh});
  ctx.observe("pre_logits", y.value());
  return classifier_.fc ? classifier_.fc->forward(ctx, dropout(ctx, y, drop_rate_)) : y;
}

}  // namespace vit
