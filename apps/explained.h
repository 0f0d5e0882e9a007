// A model whose answers are explained, whatever it answers with: classes, objects or words.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vit/explain/subject.h"
#include "vit/image/boxes.h"
#include "vit/image/image.h"
#include "vit/image/preprocess.h"

namespace vit {
class ClassLabels;
}

namespace apps {

struct CommonOptions;

/// One answer about a picture.
struct ExplainedAnswer {
  std::unique_ptr<vit::Subject> subject{};
  std::string label{};                ///< class, or word
  std::optional<int64_t> index{};     ///< of the class
  double score = 0.0;                 ///< 0 to 1
  std::optional<vit::Corners> box{};  ///< of the object, in pixels of the picture
};

struct ExplainedOptions {
  std::string target{};  ///< a class's name or number, or a word; empty: the best answers
  int64_t answers = 1;   ///< explained per picture, at most
  double conf = 0.5;     ///< of objects
  std::optional<int64_t> img_size{};
  std::string labels{};  ///< classes as text, of CLIP
};

class ExplainedAnswers {
 public:
  /// The model of the command line, for the verb that it is for. Errors (usage): as its loader; a target class that the
  /// model does not know.
  static std::unique_ptr<ExplainedAnswers> load(const std::string& model, const ExplainedOptions& options,
                                                const CommonOptions& common);
  virtual ~ExplainedAnswers() = default;

  virtual const vit::Preprocessor& preprocessor() const = 0;
  /// A picture as the model sees it: [1, channels, height, width].
  vit::Tensor pixels(const vit::Image& picture) const;
  /// What is to be explained of a picture, best first; nothing where nothing was found. Errors: a caption that does not
  /// say the target's word.
  virtual std::vector<ExplainedAnswer> answers(const vit::Image& picture, const vit::Tensor& pixels) const = 0;
  /// What to say where there are no answers.
  virtual std::string nothing_found() const { return "there is nothing to explain"; }
  /// Some answer, to ask what methods can do.
  virtual std::unique_ptr<vit::Subject> sample() const = 0;
  /// The answer that class `index` is there; none: the model does not answer with classes.
  virtual std::unique_ptr<vit::Subject> of_class(int64_t /*index*/) const { return nullptr; }
  /// The classes; null: it answers with words.
  virtual const vit::ClassLabels* labels() const { return nullptr; }
  /// The method on feature maps that suits its answers: means of gradients over the whole map say little about what is
  /// found at one place of it.
  virtual std::string usual_map_method() const { return "layercam"; }
  /// What the queries of its attention are called, from the first on: the objects that were found; empty: they have no
  /// names.
  virtual std::vector<std::string> query_names(const std::vector<ExplainedAnswer>& /*answers*/) const { return {}; }
};

/// The classes of --target: one whose name has commas, or a list of names and numbers; empty: none was named. Errors
/// (usage): an unknown one, with the nearest.
std::vector<int64_t> target_classes(const std::string& target, const vit::ClassLabels& labels);

/// The loaders of the three kinds.
std::unique_ptr<ExplainedAnswers> load_explained_classifier(const std::string& model, const ExplainedOptions& options,
                                                            const CommonOptions& common);
std::unique_ptr<ExplainedAnswers> load_explained_detector(const std::string& model, const ExplainedOptions& options,
                                                          const CommonOptions& common);
std::unique_ptr<ExplainedAnswers> load_explained_captioner(const std::string& model, const ExplainedOptions& options,
                                                           const CommonOptions& common);

}  // namespace apps
