// vitkit explain --data: every method on every picture of a data set, and the table of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/common.h"
#include "apps/output.h"
#include "datasets/dataset.h"
#include "vit/explain/evaluation.h"
#include "vit/image/image.h"
#include "vit/image/preprocess.h"

namespace vit {
class ClassLabels;
class ExplainedModel;
}  // namespace vit

namespace apps {

struct DatasetExplanationOptions {
  std::string methods = "all";  ///< names, separated by commas; all: those that can explain the first picture
  int64_t limit = 0;            ///< pictures at most, the first ones; 0: all
  vit::MethodEvaluationOptions evaluation{};
};

/// What is asked about picture `index`, and of which model.
using AskAboutPicture = std::function<vit::ExplainedPicture(int64_t index, const vit::Image& image)>;

/// Evaluates the methods and writes the table, or a record per method. A picture that cannot be read, or about which
/// nothing can be asked, is reported on stderr; the others go on. Returns how many those were. Errors (usage): an
/// unknown or repeated method, one that does not apply; no picture could be read.
int64_t explain_dataset(const datasets::Dataset& data, const AskAboutPicture& ask,
                        const DatasetExplanationOptions& options, Output& output, const CommonOptions& common);

/// The names in such a list, checked to be methods; `subject` says what "all" is. Errors (usage): an unknown or
/// repeated method, an empty name.
std::vector<std::string> chosen_methods(const std::string& list, const vit::Subject& subject);

/// For classifiers: the class that the model finds most likely, or `target`; the object's box where the data set has
/// one; one set of random weights (of `seed`) for all pictures. All that is referred to outlives the result. Errors
/// (usage), when it is called: no class `target`.
AskAboutPicture ask_classifier(std::shared_ptr<const vit::ExplainedModel> model, const vit::Preprocessor& preprocessor,
                               const vit::ClassLabels& labels, const datasets::Dataset& data,
                               std::optional<int64_t> target, uint64_t seed);

}  // namespace apps
