// Methods of explanation side by side over many pictures: how faithful their maps are, whether they pass the sanity
// check, whether they point at the object, what they cost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vit/explain/bootstrap.h"
#include "vit/explain/faithfulness.h"
#include "vit/image/boxes.h"

namespace vit {

struct ExplainedPicture {
  std::unique_ptr<Subject> subject{};
  Tensor pixels{};                  ///< [1, channels, height, width], normalised
  std::optional<Corners> object{};  ///< what the subject is about, in these pixels; none: not known
  /// The subject with random weights, where the caller shares one between pictures; null: subject->randomized().
  std::shared_ptr<const Subject> randomized{};
};

/// Picture `index`; none: it cannot be read and is left out (the caller says so).
using PictureSource = std::function<std::optional<ExplainedPicture>(int64_t index)>;

struct MethodEvaluationOptions {
  MethodOptions method{};
  FaithfulnessOptions faithfulness{};  ///< its seed also is the baselines'
  BootstrapOptions bootstrap{};
  /// Adds what needs no model: kRandomBaseline and kCentreBaseline. A method that is no better says nothing.
  bool baselines = true;
  std::function<void(int64_t done)> progress{};  ///< after each picture
};

/// A map of 7 x 7 random cells, another for each picture.
inline constexpr const char* kRandomBaseline = "(random)";
/// The same round hill in the middle of each picture, with a deviation of a quarter of its sides.
inline constexpr const char* kCentreBaseline = "(centre)";

/// A method's figures: means over pictures with intervals. An Estimate without values (count 0): not asked, not known.
struct MethodFigures {
  std::string method{};
  bool baseline = false;
  Estimate deletion{}, insertion{}, road{};  ///< Faithfulness: deletion.auc, insertion.auc, road.combined
  Estimate spearman{}, ssim{};               ///< SanityCheck; a constant map has no spearman
  Estimate unchanged{};                      ///< share of pictures whose map random weights do not change, or empty
  Estimate mass{}, pointing{}, area{};       ///< ObjectShare; `area` is what chance gives of both
  Estimate seconds{};                        ///< of one map
};

/// Asks every method about pictures 0 to count - 1. One row per method, in their order, then the baselines.
/// Deterministic but for `seconds`. Costs per picture and method: two maps and FaithfulnessOptions::passes(). Errors:
/// as explain and measure_faithfulness; no picture could be read.
std::vector<MethodFigures> evaluate_methods(int64_t count, const PictureSource& source,
                                            const std::vector<std::string>& methods,
                                            const MethodEvaluationOptions& options = {});

}  // namespace vit
