// The library's face for classification: load a checkpoint, ask it about pictures.
//
//   auto classifier = vit::Classifier::load("path/to/checkpoint");
//   for (const vit::Prediction& p : classifier(vit::load_image("photo.jpg"))) std::cout << p.label << " " << p.score <<
//   "\n";
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/image/decode.h"
#include "vit/image/image.h"

namespace vit {

class Checkpoint;
class ClassLabels;
class ImageModel;
class Preprocessor;
struct Context;

/// The pre-processing of a checkpoint: its own files', else what its library pairs with such a model; for a
/// configuration without weights, timm's for vit_*. `img_size`: a square input of another size. Errors (usage): wrong
/// values in a file.
Preprocessor load_preprocessor(const Checkpoint& checkpoint, const ImageModel& model,
                               std::optional<int64_t> img_size = {});

/// The names of a checkpoint's classes. Errors (usage): as ClassLabels::from_checkpoint.
ClassLabels load_labels(const Checkpoint& checkpoint, const ImageModel& model);

/// One answer for one picture.
struct Prediction {
  std::string label;
  int64_t index = 0;   ///< class number
  double score = 0.0;  ///< softmax probability, 0 to 1
};

struct ClassifierOptions {
  std::optional<int64_t> img_size{};  ///< square input of another size; the position table is resampled
  uint64_t seed = 0;                  ///< of the random weights where the model is a configuration without any
  int64_t topk = 5;                   ///< predictions per picture (fewer where there are fewer classes)
  /// Gives a model that is told its classes (CLIP) these, and returns their names.
  using NameClasses = std::function<std::vector<std::string>(ImageModel&, const Checkpoint&)>;
  NameClasses name_classes{};
};

/// An image classifier. Copies share the model; all members may be called from several threads at once.
class Classifier {
 public:
  /// `model` as the command line takes it: a checkpoint directory (timm or Hugging Face), a hub id in the local cache,
  /// a bundled model's or a model configuration's name. Errors: vit::Error, naming the file and what is wrong with it.
  static Classifier load(const std::string& model, const ClassifierOptions& options = {});

  /// The topk classes of a picture, by descending score.
  std::vector<Prediction> operator()(const Image& image) const;
  /// The same for several pictures, in one batch.
  std::vector<std::vector<Prediction>> operator()(const std::vector<Image>& images) const;

  /// Pre-processed pixels [B, 3, height, width] -> logits [B, K].
  Tensor logits(const Tensor& pixels) const;
  /// The best of one row of logits [K], softmax scores, sorted; equal scores in the order of their index.
  /// Errors: a logit is not finite.
  std::vector<Prediction> top(const float* logits, int64_t topk) const;

  const ImageModel& model() const;
  const Preprocessor& preprocessor() const;
  const ClassLabels& labels() const;
  /// False for a model configuration: the weights are random and the answers mean nothing.
  bool trained() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vit
