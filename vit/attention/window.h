// Attention within windows of a map that shift from layer to layer (Liu et al. 2021, "Swin transformer: hierarchical
// vision transformer using shifted windows", section 3.2), with a relative position bias.
//
// Maps that the window does not divide are padded at the bottom and on the right with tokens of zeros, which are keys
// like others: their projection is its bias. A shifted layer moves the map round by half a window; what only that
// brings together is masked (by -100, as the references do it, not by -inf). Nothing is moved or copied for any of
// this: tables say which tokens form a window.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/attention/grouped.h"
#include "vit/core/config.h"
#include "vit/nn/linear.h"
#include "vit/nn/window_bias.h"

namespace vit {

/// In what the two libraries differ, where windows do not fit the map.
enum class WindowRule {
  timm,          ///< shifted, then padded; the window shrinks to a smaller map, per axis, and does not shift along it
  hugging_face,  ///< padded, then shifted; no shift at all where the map's shorter side is within the window
};
const std::vector<std::pair<WindowRule, std::string>>& enum_names(WindowRule);

struct WindowAttentionOptions {
  ConfigNode window = ConfigNode::make_scalar("7", false);
  std::optional<int64_t> shift{};
  bool relative_position_bias = true;
  bool always_partition = false;
  WindowRule rule = WindowRule::timm;
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("window", window, "Side of a window in tokens, or [height, width].");
    v("shift", shift, "Tokens by which the windows are shifted; none: half a window in every other layer.",
      between(0, 1 << 10));
    v("relative_position_bias", relative_position_bias, "A learned bias for each way from one token to another.");
    v("always_partition", always_partition, "Keep the window and its shift on maps that are smaller.");
    v("rule", rule, "Whose rules hold where windows do not fit the map.");
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// The windows of one map.
struct WindowLayout {
  TokenGroups groups;
  Tensor mask{}, mask_of{};  ///< [K, M, M] and i64 [G], undefined without a shift
  bool padded = false;       ///< some keys are -1
};
WindowLayout window_layout(const Grid& grid, const std::array<int64_t, 2>& window, const std::array<int64_t, 2>& shift,
                           WindowRule rule);

/// timm's WindowAttention (models/swin_transformer.py). Parameters: relative_position_bias_table, qkv.*, proj.*.
class WindowAttention : public Attention {
 public:
  using Options = WindowAttentionOptions;
  /// Errors (usage): dim is not divisible by num_heads; a window or a shift that is none.
  WindowAttention(const AttentionShape& shape, const WindowAttentionOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;
  /// The window may shrink or grow with the map; its biases are resampled then.
  void set_grid(Grid grid) override;

  const std::array<int64_t, 2>& window() const { return window_; }

 private:
  void fit(const Grid& grid);
  std::array<int64_t, 2> shift_on(const Grid& grid) const;

  int64_t heads_, head_dim_;
  WindowRule rule_;
  bool always_partition_;
  std::array<int64_t, 2> target_window_, target_shift_;  ///< on a map that is large enough
  std::array<int64_t, 2> window_{}, shift_{};
  Grid grid_;
  WindowLayout layout_;  ///< of the native map
  Linear qkv_;
  WindowBias bias_;
  Linear proj_;
};

}  // namespace vit
