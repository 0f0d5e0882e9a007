// Show, attend and tell (Xu et al. 2015, "Show, attend and tell: neural image caption generation with visual
// attention"): a recurrent decoder that looks at the regions of any backbone before every word, softly or at one region
// at a time (attention: hard), at one map or, with attention: hierarchical, at regions and then at scales.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "captioning/recurrent_decoder.h"
#include "captioning/region_captioner.h"

namespace captioning {

struct ShowAttendTellConfig : RegionCaptionerConfig {
  int64_t region_dim = 128;
  int64_t embed_dim = 192;
  int64_t hidden_dim = 256;

  template <class V>
  void visit_fields(V& v) {
    RegionCaptionerConfig::visit_fields(v);
    v("region_dim", region_dim, "Width of the regions.", vit::between(1, 1 << 14));
    v("embed_dim", embed_dim, "Width of the words.", vit::between(1, 1 << 14));
    v("hidden_dim", hidden_dim, "Width of the recurrent state.", vit::between(1, 1 << 14));
  }
};

class ShowAttendTell : public RegionCaptioner {
 public:
  /// Errors (usage): as the parts.
  ShowAttendTell(const ShowAttendTellConfig& config, const std::string& name);

  vit::Var logits(vit::Context& ctx, const vit::Var& encoded, const vit::Tensor& ids,
                  const vit::Tensor& mask) const override;
  std::unique_ptr<DecoderState> begin(vit::Context& ctx, const vit::Tensor& encoded,
                                      int64_t rows_per_picture) const override;
  vit::Tensor step(vit::Context& ctx, DecoderState& state, const vit::Tensor& ids) const override;
  int64_t max_positions() const override { return int64_t{1} << 20; }
  int64_t attention_layers() const override { return 1; }
  WordAttention word_attention(int64_t layer) const override;
  vit::ConfigNode describe() const override;
  const ShowAttendTellConfig& config() const { return config_; }

 private:
  std::vector<std::string> replace_vocabulary() override;

  ShowAttendTellConfig config_;
  RecurrentDecoder decoder_;
  /// Of hard attention that is trained by REINFORCE: the moving average of rewards and whether it has begun, [2]. The
  /// trainer's state, kept in checkpoints so that a run can be resumed.
  vit::Parameter reward_baseline_;
};

}  // namespace captioning
