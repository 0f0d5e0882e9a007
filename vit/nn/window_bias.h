// Relative position biases of a window of tokens: what attention adds to the score of two tokens for the way from one
// to the other. Three forms, as timm has them (layers/pos_embed_rel.py).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/autograd/ops.h"
#include "vit/core/config.h"
#include "vit/nn/module.h"

namespace vit {

enum class WindowBiasKind {
  none,
  bias,     ///< a table [(2h - 1)(2w - 1), H] (Liu et al. 2021, "Swin transformer", section 3.2): timm's RelPosBias
  bias_tf,  ///< the same as [H, 2h - 1, 2w - 1], and read the other way round: timm's RelPosBiasTf (MaxViT's weights)
  mlp,      ///< an MLP of the logarithm of the way (Liu et al. 2022, "Swin transformer V2", section 3.3): RelPosMlp
};
/// "none", "bias", "bias_tf", "mlp": timm's rel_pos_type.
const std::vector<std::pair<WindowBiasKind, std::string>>& enum_names(WindowBiasKind);

/// Most tokens of a window, 64 x 64: tables and masks of a window grow like the square of their number.
inline constexpr int64_t kMaxWindowTokens = 4096;

/// A window's height and width from `window: 7` or `window: [7, 14]`. Errors (usage), at the node's place: neither, or
/// more than kMaxWindowTokens.
std::array<int64_t, 2> read_window(const ConfigNode& node);

struct WindowBiasOptions {
  WindowBiasKind kind = WindowBiasKind::bias;
  std::array<int64_t, 2> window{};  ///< height and width
  int64_t heads = 1;                ///< H
  int64_t hidden = 512;             ///< width of the MLP
};

class WindowBias : public Module {
 public:
  /// Parameters: relative_position_bias_table, or mlp.fc1.* and mlp.fc2.*; none for `none`. Errors (usage): a window of
  /// more than kMaxWindowTokens.
  explicit WindowBias(const WindowBiasOptions& options);

  /// What is added to the scores of a window, its tokens row by row: [H, h * w, h * w], rows are queries; undefined for
  /// `none`. A table's entry is the way from key to query (bias, mlp) or from query to key (bias_tf).
  Var forward(Context& ctx) const;

  /// For another window: the table is resampled (see resample_window_bias); the MLP needs nothing.
  /// Errors: as above.
  void set_window(const std::array<int64_t, 2>& window);
  const std::array<int64_t, 2>& window() const { return options_.window; }

  /// Writes the biases down once.
  void prepare() override;

 private:
  Shape table_shape() const;
  Var entries(Context& ctx) const;

  WindowBiasOptions options_;
  Parameter table_, fc1_weight_, fc1_bias_, fc2_weight_, fc2_bias_;
  Tensor ready_;
};

/// A table [(2h - 1)(2w - 1), H] or [H, 2h - 1, 2w - 1] of another window for this one, as timm makes it while loading
/// (resize_rel_pos_bias_table, after BEiT): the old ways are put at places that grow apart in geometric progression,
/// dense in the middle, and the new ways read between them, linearly and not beyond the last. Where the table is flat
/// and nothing says what window it was made for, that is taken to be square. Errors: the table is none of that window.
Tensor resample_window_bias(const Tensor& table, const std::array<int64_t, 2>& window,
                            std::optional<std::array<int64_t, 2>> from = {});

}  // namespace vit
