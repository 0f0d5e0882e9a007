// How good captions are, counted against what people wrote: BLEU (Papineni et al. 2002), ROUGE-L (Lin 2004), CIDEr and
// CIDEr-D (Vedantam, Zitnick, Parikh 2015), as coco-caption counts them. docs/caption_metrics.md says what they mean,
// how captions become words, and why METEOR and SPICE are left out.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "captioning/caption_words.h"

namespace captioning {

/// The figures of one picture, or of all.
struct CaptionScores {
  double bleu1 = 0.0, bleu2 = 0.0, bleu3 = 0.0, bleu4 = 0.0;
  double rouge_l = 0.0;
  double cider = 0.0;        ///< what coco-caption calls CIDEr, and papers report: CIDEr-D
  double cider_d = 0.0;      ///< the paper's CIDEr-D: clipped, with a penalty for another length; the same number
  double cider_plain = 0.0;  ///< the paper's CIDEr: cosines of TF-IDF, times 10 as the others

  /// Name and value, in the order above.
  static constexpr size_t kCount = 8;
  std::array<std::pair<const char*, double>, kCount> figures() const;
};

struct CaptionMetrics {
  CaptionScores corpus{};               ///< BLEU over all words, the others as means over the pictures
  std::vector<CaptionScores> images{};  ///< in the order of the candidates
};

/// How a caption becomes words.
using WordSplitter = std::function<std::vector<std::string>(std::string_view)>;

/// candidates[i] is judged by references[i]; the references are also the corpus whose rare words count more in CIDEr.
/// `split`: caption_words() for sentences, something else for what is words already. An empty candidate has 0. Errors
/// (usage): no pictures, unequal counts, a picture without a reference.
CaptionMetrics caption_metrics(const std::vector<std::string>& candidates,
                               const std::vector<std::vector<std::string>>& references,
                               const WordSplitter& split = caption_words);

}  // namespace captioning
