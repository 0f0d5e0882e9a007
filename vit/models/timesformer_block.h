// The block of divided space-time attention (Bertasius et al. 2021, section 3, "divided space-time attention (T+S)").
#pragma once

#include <cstdint>
#include <memory>

#include "vit/models/clip_tokens.h"
#include "vit/nn/block.h"

namespace vit {

/// Parameters, as the authors name them: temporal_norm1.*, temporal_attn.*, temporal_fc.*, norm1.*, attn.*, norm2.*,
/// mlp.*.
class SpaceTimeBlock : public Module {
 public:
  /// `first`: temporal_fc starts at random numbers, else at zero, so that training begins with a model of frames.
  SpaceTimeBlock(const BlockOptions& options, std::unique_ptr<Attention> attention,
                 std::unique_ptr<Attention> temporal_attention, bool first);

  /// x [B, 1 + T * N, C] -> the same shape.
  Var forward(Context& ctx, const Var& x, const ClipGrid& clip) const;

  /// Takes effect where Context::training is set.
  void set_dropout(const BlockDropout& dropout) { dropout_ = dropout; }
  void set_grid(Grid grid) { attention_->set_grid(grid); }

 private:
  /// Along time: x with other patches.
  Var attend_in_time(Context& ctx, const Var& x, const ClipGrid& clip) const;
  /// Within frames: all tokens.
  Var attend_in_space(Context& ctx, const Var& x, const ClipGrid& clip) const;
  bool drops(const Context& ctx) const {
    return ctx.training && (dropout_.proj_drop > 0.0f || dropout_.drop_path > 0.0f);
  }

  Norm temporal_norm1_, norm1_, norm2_;
  std::unique_ptr<Attention> temporal_attention_, attention_;
  Linear temporal_fc_;
  Mlp mlp_;
  BlockDropout dropout_;
};

}  // namespace vit
