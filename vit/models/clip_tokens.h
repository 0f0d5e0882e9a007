// The tokens of a clip: which of them belong to a frame, which to a place, and what attention among such a part means
// among all. Token 0 is the class token, token 1 + t * N + n is patch n of frame t.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "vit/autograd/ops.h"
#include "vit/nn/attention.h"

namespace vit {

/// Extents of a clip's tokens.
struct ClipGrid {
  int64_t frames = 1;  ///< T
  Grid grid{};         ///< of a frame, N = grid.count()
  int64_t patches() const { return frames * grid.count(); }
};

/// Parts of a clip that attend among themselves.
enum class ClipPart {
  places,  ///< N sequences of T tokens: one place through the frames, without the class token
  frames,  ///< T sequences of 1 + N tokens: a frame's patches, and in front of them the class token, in each again
};

/// x [B, 1 + T * N, C] -> the parts as a batch, [B * N, T, C] or [B * T, 1 + N, C].
Var split_clip(Context& ctx, const Var& x, const ClipGrid& clip, ClipPart part);
/// Back again: the patches [B, T * N, C] of places; all tokens [B, 1 + T * N, C] of frames, where the class token is
/// the mean of its copies (Bertasius et al. 2021, section 3: the authors' code).
Var join_clip(Context& ctx, const Var& x, const ClipGrid& clip, ClipPart part);

/// What attention within parts is among all tokens: probabilities [B * parts, H, n, n] -> [B, H, 1 + T * N, 1 + T * N],
/// 0 where a token cannot look. In places the class token looks at itself alone; in frames its row is the mean of its
/// copies' rows. Rows that summed to one do so.
Tensor spread_probs(const Tensor& probs, const ClipGrid& clip, ClipPart part);
/// The same of scores: -inf where a token cannot look, the copies' own scores where they look.
Tensor spread_scores(const Tensor& scores, const ClipGrid& clip, ClipPart part);

/// The gradient with respect to such probabilities, likewise: 0 where a token cannot look. In frames the class token's
/// row is as if its copies changed together, so that probability times gradient is what the copies' products come to.
Tensor spread_probs_gradient(const Tensor& gradient, const ClipGrid& clip, ClipPart part);

/// For its lifetime the context's observer, where there is one, sees the mechanism of a part as one among all tokens:
/// "probs", "probs.grad" and "scores" spread, "norm1" joined, "layout" that of the strip: a class token and
/// T * grid.height rows.
class ObserveWholeClip {
 public:
  ObserveWholeClip(Context& ctx, const ClipGrid& clip, ClipPart part);
  ~ObserveWholeClip();
  ObserveWholeClip(const ObserveWholeClip&) = delete;
  ObserveWholeClip& operator=(const ObserveWholeClip&) = delete;

  /// x itself, to be used in place of it by the mechanism: gradients that backward offers of what comes after it are
  /// seen likewise.
  Var until_backward(Context& ctx, const Var& x) const;

 private:
  class Spreading : public Observer {
   public:
    Spreading(Observer* outer, const ClipGrid& clip, ClipPart part) : outer_(outer), clip_(clip), part_(part) {}
    bool wants(const std::string& name) override { return outer_->wants(name); }
    void observe(const std::string& name, const Tensor& value) override;

   private:
    Observer* outer_;
    ClipGrid clip_;
    ClipPart part_;
  };
  Context& ctx_;
  Observer* outer_;
  std::shared_ptr<Spreading> spreading_;
};

}  // namespace vit
