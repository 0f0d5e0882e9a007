// The library's face for detection: load a checkpoint, ask it what is where in pictures.
//
//   auto detector = detection::Detector::load("path/to/checkpoint");
//   for (const auto& found : detector(vit::load_image("street.jpg"))) std::cout << detector.label(found.index);
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "detection/postprocess.h"
#include "vit/core/context.h"
#include "vit/image/image.h"
#include "vit/image/pixel_batch.h"

namespace vit {
class ClassLabels;
class Preprocessor;
}  // namespace vit

namespace detection {

struct DetectorOptions {
  std::optional<int64_t> img_size{};  ///< square input of another size
  uint64_t seed = 0;                  ///< of the random weights where the model is a configuration without any
  PostprocessOptions post{};
};

/// A detector. Copies share the model; all members may be called from several threads at once.
class Detector {
 public:
  /// `model` as the command line takes it. Errors: vit::Error, naming the file and what is wrong with it; a model that
  /// is no detector.
  static Detector load(const std::string& model, const DetectorOptions& options = {});

  /// The objects of a picture, best first, boxes in its pixels.
  std::vector<Detection> operator()(const vit::Image& image) const;
  /// The same for several pictures, in one batch where their sizes allow it.
  std::vector<std::vector<Detection>> operator()(const std::vector<vit::Image>& images) const;

  /// The steps of it, for pipelines. Pictures as the model's pre-processing makes them, padded to one size.
  vit::PixelBatch prepare(const std::vector<vit::Image>& images) const;
  /// What the model says about a batch; `ctx` may have an observer.
  DetectionLevel run(vit::Context& ctx, const vit::PixelBatch& batch) const;
  /// Row `b` of it as detections in a picture of `size`, best first.
  std::vector<Detection> finish(const DetectionLevel& level, int64_t b, vit::Extent size,
                                const PostprocessOptions& options) const;

  const DetectionModel& model() const;
  const vit::Preprocessor& preprocessor() const;
  const vit::ClassLabels& labels() const;
  /// The name of a class. Errors: no such class.
  const std::string& label(int64_t index) const;
  const PostprocessOptions& post() const;
  /// False for a model configuration: the weights are random and the answers mean nothing.
  bool trained() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace detection
