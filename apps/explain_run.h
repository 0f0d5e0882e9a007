// One run of `vitkit explain`: from its sources to everything that is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/explained.h"
#include "apps/video_options.h"
#include "vit/explain/method.h"
#include "vit/image/decode.h"

namespace apps {

enum class Judge { pictures, always, never };
/// "pictures", "always", "never".
const std::vector<std::pair<Judge, std::string>>& enum_names(Judge);

struct ExplainOptions {
  std::vector<std::string> sources;
  std::string model;
  std::string methods;  ///< separated by commas, or "all"; empty: the best known one that applies
  ExplainedOptions answers;
  vit::MethodOptions method;
  std::string save;  ///< folder; empty: nothing is saved
  int64_t report_mb = 25;
  Judge judge = Judge::pictures;
  bool no_sanity = false;
  std::string data;   ///< a data set to compare methods on, instead of sources
  int64_t limit = 0;  ///< pictures of it; 0: all
  VideoChoice video;
  int64_t max_pixels = vit::DecodeOptions{}.max_pixels;
};

/// The names that --method gives, checked against a model; without any, relevance, else what suits the model's maps.
/// Errors (usage): as vit::check_method.
std::vector<std::string> chosen_methods(const std::string& list, const ExplainedAnswers& model,
                                        const vit::MethodOptions& options);

/// The verb's work -> exit status. Errors: vit::Error; ClosedPipe.
int explain(const ExplainOptions& options, const CommonOptions& common);

/// The verb's work with --data: methods side by side.
int compare_methods(const ExplainOptions& options, const CommonOptions& common);

}  // namespace apps
