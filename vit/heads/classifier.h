// Classification heads: from the features of a backbone to the logits of K classes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/attention/attention_pool.h"
#include "vit/attention/token_merging.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

/// How token features [B, N, C] become one vector per image (timm's global_pool).
enum class Pool {
  token,          ///< the class token
  avg,            ///< mean over the patch tokens
  max,            ///< maximum over the patch tokens
  avgmax,         ///< mean of both
  token_and_avg,  ///< class token and mean of the patch tokens, concatenated: [B, 2C] (Hugging Face's DINOv2)
  map,            ///< a learned query looks at all tokens (SigLIP)
};

/// timm's global_pool names, for configurations.
const std::vector<std::pair<Pool, std::string>>& enum_names(Pool);

struct ClassifierHeadOptions {
  int64_t dim = 0;          ///< C
  int64_t num_classes = 0;  ///< K; 0: no projection, the logits are the pooled features
  Pool pool = Pool::token;
  int64_t prefix_tokens = 1;           ///< tokens in front of the patches, left out of means and maxima
  bool pool_prefix = false;            ///< include them after all (timm's pool_include_prefix)
  NormKind norm = NormKind::identity;  ///< after pooling (timm's fc_norm)
  float norm_eps = 1e-6f;
  bool distilled = false;            ///< a second head reads the second token; the logits are the mean of both (DeiT)
  int64_t num_heads = 1;             ///< of the pool `map`
  AttentionPoolOptions attn_pool{};  ///< of the pool `map`
};

/// Pooling, normalisation and projection. Observed as "pre_logits" and, for the distilled form, "logits_cls" and
/// "logits_dist". Parameters: attn_pool.*, fc_norm.*, head.*, head_dist.* (timm).
class ClassifierHead : public Module {
 public:
  explicit ClassifierHead(const ClassifierHeadOptions& options);
  /// features [B, N, C] -> logits [B, K]. Of merged tokens means count each as often as it has patches.
  Var forward(Context& ctx, const Var& features, const MergedTokens& merged = {}) const;
  /// Dropout of the pooled features, where Context::training is set.
  void set_dropout(float drop_rate) { drop_rate_ = drop_rate; }
  /// New projections for another number of classes, without values; the names of their parameters.
  std::vector<std::string> replace(int64_t num_classes);
  /// How many leading tokens decide the result; 0 when all do.
  int64_t wanted_tokens() const;

 private:
  /// The projections, which replace() exchanges.
  struct Projections : Module {
    using Module::clear_modules;
    void add(std::string name, Module& child) { add_module(std::move(name), child); }
  };
  Var pool(Context& ctx, const Var& features, const MergedTokens& merged) const;
  Var forward_distilled(Context& ctx, const Var& features) const;
  ClassifierHeadOptions options_;
  std::optional<AttentionPool> attn_pool_;
  Norm fc_norm_;
  Projections projections_;
  std::optional<Linear> head_, head_dist_;
  float drop_rate_ = 0.0f;
};

}  // namespace vit
