// All layers and heads at a glance: what one query attends to, a picture per layer (rows) and head (columns).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/image/cell_map.h"
#include "vit/image/image.h"

namespace vit {

/// The query's attention in one layer.
struct SheetLayer {
  std::string name{};   ///< "blocks.11.attn"
  Tensor cells{};       ///< f32 [heads, rows, columns]: the query's attention to the cells of the layer's grid
  CellWindow window{};  ///< of the picture on that grid
};

enum class SheetScale {
  cell,    ///< each map to its own largest value: where a head looks
  layer,   ///< one scale per layer
  common,  ///< one for the sheet: how concentrated heads are, too
};

struct AttentionSheetOptions {
  std::string title{};  ///< "vit_base_patch16_224: tabby cat"; ASCII, as all text
  std::string query{};  ///< whose attention it is: "class token", "cell (3, 7)"
  SheetScale scale = SheetScale::cell;
  bool mean = true;            ///< a column with the mean over heads, first
  int64_t side = 0;            ///< of a map in pixels, 24 to 512; 0: as large as the sheet's bound allows, 160 at most
  int64_t most_pixels = 2400;  ///< bound of the sheet's width and height that `side` 0 keeps to; maps get 24 at least
};

/// Rows are layers as given, columns heads; layers may differ in grids and numbers of heads. Each cell is the darkened
/// picture, bright where the query looks, in viridis. Errors: no layer, more than 256 layers or heads, cells that are
/// not f32 [heads, rows, columns], an undefined picture, a side out of range.
Image draw_attention_sheet(const Image& picture, const std::vector<SheetLayer>& layers,
                           const AttentionSheetOptions& options = {});

}  // namespace vit
