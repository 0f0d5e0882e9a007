// Denoising queries (Li et al. 2022, "DN-DETR"; in the contrastive form of Zhang et al. 2022, "DINO", section 3.3): in
// training the decoder is also given the targets themselves, with noise, and learns to put them right. Their match is
// known, which the matcher's is not in the beginning.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "vit/autograd/ops.h"
#include "vit/core/rng.h"
#include "vit/nn/module.h"
#include "vit/train/batch.h"

namespace detection {

struct DenoisingOptions {
  int64_t queries = 100;     ///< of an image, about: as many groups of two copies of the targets as fit; 0: none
  float label_noise = 0.5f;  ///< half of this share of the queries has another class
  float box_noise = 1.0f;    ///< corners move by up to half of the extent times this, of negatives up to twice as far
  int64_t num_classes = 0;   ///< K
  int64_t matched_queries = 0;  ///< Q, of the model itself: they come after the denoising queries
};

/// A group is one positive copy of an image's targets, slot by slot, and one negative copy. Images with fewer targets
/// than others have slots of class K and a box of no extent.
struct DenoisingQueries {
  vit::Tensor labels;  ///< i64 [B, D]
  vit::Tensor boxes;   ///< f32 [B, D, 4]: centre x, centre y, width, height, inside the image
  vit::Tensor mask;    ///< f32 [D + Q, D + Q], added to attention scores: groups do not see each other, nor Q them
  std::vector<std::vector<std::pair<int64_t, int64_t>>> matches;  ///< per image: positive queries and their targets
  int64_t groups = 1;
};

/// Nothing where no image has a target. Errors: a label outside [0, K).
std::optional<DenoisingQueries> make_denoising_queries(const std::vector<vit::BoxTargets>& targets,
                                                       const DenoisingOptions& options, vit::Rng& rng);

/// The vectors of the classes as queries. Parameter: weight [K + 1, dim], its last row for slots without a target.
class DenoisingEmbedding : public vit::Module {
 public:
  DenoisingEmbedding(int64_t num_classes, int64_t dim);
  /// labels i64 [B, D] -> [B, D, dim]
  vit::Var forward(vit::Context& ctx, const vit::Tensor& labels) const;
  /// Vectors for other classes, without values.
  void replace(int64_t num_classes);

 private:
  vit::Parameter weight_;
};

}  // namespace detection
