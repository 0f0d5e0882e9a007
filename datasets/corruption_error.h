// How much corruptions hurt a classifier: mean corruption errors, as Hendrycks and Dietterich (2019, section 4.1)
// define them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "datasets/corruption.h"

namespace datasets {

/// A model's errors, 0 to 1: shares of wrong answers.
struct CorruptionErrors {
  /// Of the pictures as they are.
  std::optional<double> clean{};
  /// By family and severity.
  std::map<std::string, std::map<int64_t, double>> corrupted{};
};

/// One family, over its severities.
struct FamilyError {
  std::string family{}, group{};
  bool is_extra = false;
  double mean = 0.0;                            ///< of the severities
  std::optional<double> increase{};             ///< mean minus the clean error
  std::optional<double> normalised{};           ///< CE: sum of errors over the baseline's sum
  std::optional<double> relative_normalised{};  ///< relative CE: sum of increases over the baseline's sum
};

struct GroupError {
  std::string group{};
  double mean = 0.0;  ///< of its families' means, the extra ones left out
  int64_t families = 0;
};

struct CorruptionSummary {
  std::vector<FamilyError> families{};  ///< in the paper's order
  std::vector<GroupError> groups{};     ///< those of which a family was measured
  // Means over the families of the benchmark that were measured, none of the extra ones; none where there is none.
  std::optional<double> mean_error{};
  std::optional<double> mean_increase{};
  std::optional<double> mce{};           ///< 1: as much harmed as the baseline. The paper's, times 100, is of AlexNet
  std::optional<double> relative_mce{};  ///< the same of what corruptions add to the clean error
};

/// `baseline`: another model's errors, which each family's are divided by, over the severities that both have; a family
/// that it lacks, or where its sum is not above 0, has no normalised error. Errors (usage): an unknown family.
CorruptionSummary summarise_corruptions(const CorruptionErrors& errors, const CorruptionErrors* baseline = nullptr);

}  // namespace datasets
