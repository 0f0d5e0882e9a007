// How far to believe a map: what happens to the model's answer when the map's pixels go (deletion, insertion, ROAD),
// and whether the map changes when the model forgets all it has learnt (sanity check). What the figures mean and do
// not: docs/faithfulness.md.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vit/explain/map_similarity.h"
#include "vit/explain/method.h"
#include "vit/explain/removal.h"
#include "vit/explain/road.h"

namespace vit {

struct FaithfulnessOptions {
  int64_t steps = 28;                                   ///< RemovalCurveOptions
  double blur = 0.1;                                    ///< RemovalCurveOptions
  int64_t square = 1;                                   ///< pixels along the side of what is removed at once
  std::vector<double> road_shares{0.2, 0.4, 0.6, 0.8};  ///< RoadOptions
  double road_noise = 0.01;                             ///< RoadOptions
  bool sanity = true;                                   ///< explain a model with random weights, too
  int64_t batch_size = 8;
  uint64_t seed = 0;  ///< of ROAD's noise and the random weights

  /// Pictures that the model answers for one map: 2 * steps + 1 + 2 * road_shares. The sanity check costs another map.
  int64_t passes() const { return 2 * steps + 1 + 2 * static_cast<int64_t>(road_shares.size()); }
};

struct Faithfulness {
  double score = 0.0;                   ///< of the picture as it is, 0 to 1
  RemovalCurve deletion{};              ///< low is good
  RemovalCurve insertion{};             ///< high is good
  Road road{};                          ///< `combined`: high is good
  std::optional<SanityCheck> sanity{};  ///< none: not asked for
};

/// Measures a method's map of one picture, pixels [1, channels, height, width]. `randomized`: the subject with random
/// weights where the caller has made it, which several methods can share; null: made here, if `sanity` wants it.
/// Deterministic: seed, picture and weights say all. Errors: as removal_curves, measure_road and explain.
Faithfulness measure_faithfulness(const std::string& method, const Subject& subject, const Tensor& pixels,
                                  const Explanation& explanation, const MethodOptions& method_options = {},
                                  const FaithfulnessOptions& options = {}, const Subject* randomized = nullptr);

/// {"score", "deletion": {"auc", "shares", "scores"}, "insertion": {...}, "road": {"combined", "shares", "morf",
/// "lerf"}, "sanity": {"spearman", "ssim", "verdict"} or null}; null for a figure that is not defined.
nlohmann::ordered_json to_json(const Faithfulness& faithfulness);

}  // namespace vit
