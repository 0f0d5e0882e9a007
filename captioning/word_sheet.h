// A caption's words over their picture, brightened where each one looked (Xu et al. 2015, figures 2 to 5).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "captioning/word_maps.h"
#include "vit/image/image.h"

namespace captioning {

struct WordSheetOptions {
  int64_t columns = 5;
  int64_t side = 224;  ///< of a panel's longer side, in pixels
};

struct WordSheet {
  vit::Image image;
  /// Where the panels lie: x0, y0, x1, y1 in pixels. The first is the picture's alone, the others the words'.
  std::vector<std::array<int64_t, 4>> boxes;
};

/// The picture, then a panel per word with the word above it; `title` stands above all. Errors: an undefined picture,
/// options out of range.
WordSheet draw_word_sheet(const vit::Image& picture, const std::vector<WordMap>& words, const std::string& title,
                          const WordSheetOptions& options = {});

/// The picture, dark but where the word looked. Errors: an undefined picture.
vit::Image draw_word(const vit::Image& picture, const WordMap& word);

}  // namespace captioning
