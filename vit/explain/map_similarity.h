// How alike two maps of one picture are: what the sanity check of random weights asks (Adebayo et al. 2018, "Sanity
// checks for saliency maps", arXiv 1810.03292).
#pragma once

#include <string>
#include <vector>

#include "vit/core/tensor.h"

namespace vit {

/// Spearman's rank correlation, -1 to 1; equal values have the mean of their ranks. NaN where one side is constant or
/// empty. Errors: different lengths.
double spearman(const std::vector<double>& a, const std::vector<double>& b);

/// Structural similarity (Wang et al. 2004) of two f32 maps [rows, columns] that are scaled to 0 to 1 each: mean over
/// all windows of 7 x 7 (less where a side is shorter), K1 = 0.01, K2 = 0.03. -1 to 1. A constant map counts as zeros.
/// Errors: different shapes.
double structural_similarity(const Tensor& a, const Tensor& b);

/// A map and the same method's on a model with random weights.
struct SanityCheck {
  double spearman = 0.0;  ///< NaN where one of the maps is constant
  bool constant = false;  ///< the map itself is: there was nothing to change
  double ssim = 0.0;
  std::string verdict{};  ///< what this says about the method, in words
};

/// From this rank correlation on, a map counts as unchanged by random weights, and from the second on as hardly
/// changed.
inline constexpr double kUnchangedCorrelation = 0.7, kDoubtfulCorrelation = 0.4;

/// Whether a map is as unchanged as that, or was constant to begin with: it does not show what the model learnt.
bool fails_sanity(const SanityCheck& check);

/// map, randomized f32 [rows, columns], compared on height x width pixels. Of signed maps the sign of random weights
/// says nothing: a map turned over is no other one, and their sizes are compared as well; `spearman` is the larger of
/// both. Errors: as map_on_pixels.
SanityCheck compare_maps(const Tensor& map, const Tensor& randomized, int64_t height, int64_t width,
                         bool is_signed = false);

}  // namespace vit
