// Where each word of a caption looked (Xu et al. 2015, "Show, attend and tell", figure 3): what the decoder's attention
// gave the regions of the picture when the word was chosen. The model runs once more over the finished caption, which
// gives the same numbers as writing it did, and only the layer that is asked for pays.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "captioning/captioner.h"
#include "vit/image/cell_map.h"

namespace captioning {

struct WordMapOptions {
  std::optional<int64_t> layer{};  ///< of the decoder, counted from 0; none: the last
  std::optional<int64_t> head{};   ///< none: the mean over heads
};

/// One word, or mark of punctuation.
struct WordMap {
  std::string word;
  std::vector<int64_t> ids;  ///< of its pieces
  /// f32 [grid_h, grid_w]: the share of the attention that each region has, over the pieces' mean. The sum is 1, or
  /// less where the model looked at other tokens as well. Of several grids: on the finest, a region's share divided
  /// among the cells that it covers.
  vit::Tensor cells;
  vit::CellWindow window;  ///< of the picture on the grid
};

/// The words of a caption of this picture, in order, without special tokens. Errors (usage): the model has no such
/// layer or head; its mechanism offers no attention.
std::vector<WordMap> word_maps(const Captioner& captioner, const vit::Image& picture, const Caption& caption,
                               const WordMapOptions& options = {});

/// Positions in `ids` that belong to one word each, in order; what is not said (Captioner::is_said) belongs to none.
std::vector<std::vector<size_t>> words_of(const Captioner& captioner, const std::vector<int64_t>& ids);

}  // namespace captioning
