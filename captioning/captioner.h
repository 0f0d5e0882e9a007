// The library's face for captioning: load a checkpoint, ask it for a sentence about a picture.
//
//   auto captioner = captioning::Captioner::load("path/to/checkpoint");
//   std::cout << captioner(vit::load_image("beach.jpg")).text << "\n";
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "captioning/generate.h"
#include "captioning/tokenizer.h"
#include "vit/core/context.h"
#include "vit/image/image.h"
#include "vit/image/pixel_batch.h"

namespace captioning {

struct Caption {
  std::string text;
  std::vector<int64_t> ids;  ///< without padding
  double score = 0.0;        ///< see Sequence::score
};

/// A captioner. Copies share the model; all members may be called from several threads at once.
class Captioner {
 public:
  /// `model` as the command line takes it; `seed` makes the weights of a configuration without any. Errors: vit::Error,
  /// naming the file and what is wrong with it; a model that is no captioner; no tokenizer.
  static Captioner load(const std::string& model, uint64_t seed = 0);

  /// One caption of a picture, by the checkpoint's own generation settings.
  Caption operator()(const vit::Image& image) const;
  std::vector<Caption> operator()(const std::vector<vit::Image>& images) const;
  /// Per picture config.num_return_sequences captions, best first, that go on behind `prompt`. Errors (usage): as
  /// generate().
  std::vector<std::vector<Caption>> operator()(const std::vector<vit::Image>& images, const GenerationConfig& config,
                                               const std::string& prompt = {}) const;

  vit::PixelBatch prepare(const std::vector<vit::Image>& images) const;
  /// Of generation_config.json and config.json, else the defaults.
  const GenerationConfig& generation() const;
  const CaptionModel& model() const;
  const Tokenizer& tokenizer() const;
  bool trained() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace captioning
