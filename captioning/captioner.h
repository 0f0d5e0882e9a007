// The library's face for captioning: load a checkpoint, ask it for a sentence about a picture.
//
//   auto captioner = captioning::Captioner::load("path/to/checkpoint");
//   std::cout << captioner(vit::load_image("beach.jpg")).text << "\n";
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "captioning/generate.h"
#include "captioning/tokenizer.h"
#include "vit/core/context.h"
#include "vit/image/image.h"
#include "vit/image/pixel_batch.h"

namespace vit {
class Preprocessor;
}

namespace captioning {

struct Caption {
  std::string text;          ///< without special tokens and without blanks around it
  std::vector<int64_t> ids;  ///< with start, prompt and end; without padding
  double score = 0.0;        ///< see Sequence::score
};

/// A captioner. Copies share the model; all members may be called from several threads at once.
class Captioner {
 public:
  /// `model` as the command line takes it. Errors: vit::Error, naming the file and what is wrong with it; a model that
  /// is no captioner; no tokenizer (as configurations without weights have none), or one with more tokens than the
  /// model has.
  static Captioner load(const std::string& model);

  /// One caption of a picture, by the checkpoint's own generation settings.
  Caption operator()(const vit::Image& image) const;
  std::vector<Caption> operator()(const std::vector<vit::Image>& images) const;
  /// Per picture config.num_return_sequences captions, best first, that go on behind `prompt`. In one batch where the
  /// pre-processing gives all pictures one size. Errors (usage): as generate().
  std::vector<std::vector<Caption>> operator()(const std::vector<vit::Image>& images, const GenerationConfig& config,
                                               const std::string& prompt = {}) const;

  /// The steps of it, for pipelines. Pictures as the model's pre-processing makes them.
  vit::PixelBatch prepare(const std::vector<vit::Image>& images) const;
  /// The captions of a batch that go on behind the ids of a prompt; `ctx` may have an observer.
  std::vector<std::vector<Caption>> run(vit::Context& ctx, const vit::PixelBatch& batch, const GenerationConfig& config,
                                        const std::vector<int64_t>& prompt) const;
  /// A prompt's ids as generate() takes them; empty for an empty prompt.
  std::vector<int64_t> prompt_ids(const std::string& prompt) const;
  /// The text of ids as Caption has it.
  std::string text_of(const std::vector<int64_t>& ids) const;
  /// Whether an id is part of what is said: no start, end or padding of the model, no special token, no id that the
  /// tokenizer does not know (vocabularies may be padded to a round number).
  bool is_said(int64_t id) const;

  /// Of generation_config.json and config.json, else the defaults.
  const GenerationConfig& generation() const;
  const CaptionModel& model() const;
  const vit::Preprocessor& preprocessor() const;
  const Tokenizer& tokenizer() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace captioning
