#include "vit/models/timesformer_block.h"

#include <utility>

#include "vit/autograd/observed.h"
#include "vit/nn/layout.h"

namespace vit {

SpaceTimeBlock::SpaceTimeBlock(const BlockOptions& options, std::unique_ptr<Attention> attention,
                               std::unique_ptr<Attention> temporal_attention, bool first)
    : temporal_norm1_(options.norm, options.dim, options.norm_eps),
      norm1_(options.norm, options.dim, options.norm_eps),
      norm2_(options.norm, options.dim, options.norm_eps),
      temporal_attention_(std::move(temporal_attention)),
      attention_(std::move(attention)),
      temporal_fc_(options.dim, options.dim, true, first ? Init::truncated_normal(0.02f) : Init::zeros()),
      mlp_(options.mlp) {
  add_module("temporal_norm1", temporal_norm1_);
  add_module("temporal_attn", *temporal_attention_);
  add_module("temporal_fc", temporal_fc_);
  add_module("norm1", norm1_);
  add_module("attn", *attention_);
  add_module("norm2", norm2_);
  add_module("mlp", mlp_);
}

Var SpaceTimeBlock::attend_in_time(Context& ctx, const Var& x, const ClipGrid& clip) const {
  const Var normed = observed(ctx, "temporal_norm1", temporal_norm1_.forward(ctx, x));
  Var attended;
  {
    Scope scope(ctx, "temporal_attn");
    const ObserveWholeClip whole(ctx, clip, ClipPart::places);
    observe_layout(ctx, 0, {1, clip.frames});
    const Var places = whole.until_backward(ctx, split_clip(ctx, normed, clip, ClipPart::places));
    attended = temporal_attention_->forward(ctx, places, {.grid = {1, clip.frames}});
  }
  if (drops(ctx)) {
    // As the authors: dropped is what attention found at a place, before temporal_fc.
    const Var dropped = dropout(ctx, attended, dropout_.proj_drop);
    attended = drop_path(ctx, Tensor::zeros(dropped.shape()), dropped, dropout_.drop_path);
  }
  const Var patches = slice_tokens(ctx, x, 1, x.size(1));
  Scope scope(ctx, "temporal_fc");
  const Var moved = temporal_fc_.forward(ctx, join_clip(ctx, attended, clip, ClipPart::places), {.residual = patches});
  return concat_tokens(ctx, slice_tokens(ctx, x, 0, 1), moved);
}

Var SpaceTimeBlock::attend_in_space(Context& ctx, const Var& x, const ClipGrid& clip) const {
  const Var normed = observed(ctx, "norm1", norm1_.forward(ctx, x));
  const Var frames = split_clip(ctx, x, clip, ClipPart::frames);
  Scope scope(ctx, "attn");
  const ObserveWholeClip whole(ctx, clip, ClipPart::frames);
  observe_layout(ctx, 1, clip.grid);
  AttentionInput input{.grid = clip.grid, .prefix_tokens = 1};
  const bool dropping = drops(ctx);
  if (!dropping) input.residual.residual = frames;
  const Var asked = whole.until_backward(ctx, split_clip(ctx, normed, clip, ClipPart::frames));
  Var attended = attention_->forward(ctx, asked, input);
  if (dropping) attended = drop_path(ctx, frames, dropout(ctx, attended, dropout_.proj_drop), dropout_.drop_path);
  // The copies of the class token began alike, so that their mean is the token and the mean of what they learnt.
  return join_clip(ctx, attended, clip, ClipPart::frames);
}

Var SpaceTimeBlock::forward(Context& ctx, const Var& x, const ClipGrid& clip) const {
  const Var y = attend_in_space(ctx, attend_in_time(ctx, x, clip), clip);
  Scope scope(ctx, "mlp");
  if (!drops(ctx)) return mlp_.forward(ctx, norm2_.forward(ctx, y), {.residual = y});
  const Var mixed = mlp_.forward(ctx, norm2_.forward(ctx, y), {}, dropout_.proj_drop);
  return drop_path(ctx, y, dropout(ctx, mixed, dropout_.proj_drop), dropout_.drop_path);
}

}  // namespace vit
