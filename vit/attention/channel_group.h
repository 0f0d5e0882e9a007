// Channel group attention (Ding et al. 2022, "DaViT: dual attention vision transformers", section 3.3, eq. 4): the
// channels of each group attend among themselves, with all tokens as their features.
#pragma once

#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace vit {

/// timm's two forms of it.
enum class ChannelGroupRoles {
  k_v,  ///< softmax(k^T v / sqrt(D)) is applied to q: ChannelAttention, what the paper's checkpoints are
  q_k,  ///< softmax(q^T k / sqrt(N)) is applied to v: ChannelAttentionV2
};
/// "k_v", "q_k".
const std::vector<std::pair<ChannelGroupRoles, std::string>>& enum_names(ChannelGroupRoles);

struct ChannelGroupOptions {
  ChannelGroupRoles roles = ChannelGroupRoles::k_v;
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("roles", roles, "Whose products are the scores: k_v (DaViT; they mix q) or q_k (DaViT of Florence; they mix v).");
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// The heads are the groups of channels. All tokens take part, prefix tokens like others. Parameters: qkv.*, proj.*.
/// Observed: "channel_probs", [B, H, D, D].
class ChannelGroupAttention : public Attention {
 public:
  using Options = ChannelGroupOptions;
  /// Errors (usage): dim is not divisible by num_heads.
  ChannelGroupAttention(const AttentionShape& shape, const ChannelGroupOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  int64_t dim_, heads_, head_dim_;
  ChannelGroupRoles roles_;
  Linear qkv_, proj_;
};

}  // namespace vit
