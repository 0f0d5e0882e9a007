#include "captioning/captioner.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "captioning/caption_text.h"
#include "vit/core/check.h"
#include "vit/core/context_pool.h"
#include "vit/image/preprocess.h"
#include "vit/io/checkpoint.h"
#include "vit/models/build.h"
#include "vit/predictor.h"

namespace captioning {

struct Captioner::State {
  std::unique_ptr<CaptionModel> model;
  vit::Preprocessor preprocessor;
  std::optional<Tokenizer> tokenizer;
  GenerationConfig generation;
  mutable vit::ContextPool contexts;
};

namespace {

std::unique_ptr<CaptionModel> load_caption_model(const vit::Checkpoint& checkpoint) {
  std::unique_ptr<vit::ImageModel> model = vit::load_model(checkpoint, {.zero_weights = true});
  auto* captioner = dynamic_cast<CaptionModel*>(model.get());
  if (!captioner)
    vit::fail_usage(checkpoint.name(), ": ", model->info().name, " is no captioner; it is for `vitkit ", model->verb(),
                    "`");
  static_cast<void>(model.release());  // captioner owns it from here
  return std::unique_ptr<CaptionModel>(captioner);
}

Tokenizer load_tokenizer(const vit::Checkpoint& checkpoint, const CaptionModel& model) {
  if (!checkpoint.has_weights())
    vit::fail_usage(checkpoint.name(), ": a configuration without weights has no words to write captions in; train ",
                    "it (vitkit train), or name a checkpoint");
  Tokenizer tokenizer = Tokenizer::load(checkpoint.dir());
  if (tokenizer.size() > model.vocab_size())
    vit::fail_usage(checkpoint.dir().string(), ": the tokenizer has ", tokenizer.size(), " tokens, the model only ",
                    model.vocab_size(), ": they do not belong together");
  return tokenizer;
}

}  // namespace

Captioner Captioner::load(const std::string& name) {
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(name);
  Captioner captioner;
  captioner.state_ = std::make_shared<State>();
  State& state = *captioner.state_;
  state.model = load_caption_model(checkpoint);
  const vit::ModelInfo& info = state.model->info();
  if (info.input_channels != 3)
    vit::fail_usage(name, ": pictures have 3 channels, the model takes ", info.input_channels);
  state.tokenizer = load_tokenizer(checkpoint, *state.model);
  state.preprocessor = vit::load_preprocessor(checkpoint, *state.model);
  const std::optional<vit::Extent> size = state.preprocessor.fixed_size();
  if (size && (size->height != info.input_size[0] || size->width != info.input_size[1]))
    state.model->set_input_size(size->height, size->width);
  state.generation = read_generation_config(checkpoint);
  return captioner;
}

vit::PixelBatch Captioner::prepare(const std::vector<vit::Image>& images) const {
  return state_->preprocessor.batch(images);
}

bool Captioner::is_said(int64_t id) const { return captioning::is_said(*state_->tokenizer, *state_->model, id); }

std::vector<int64_t> Captioner::prompt_ids(const std::string& prompt) const {
  return prompt.empty() ? std::vector<int64_t>() : state_->model->prompt_ids(state_->tokenizer->encode(prompt));
}

std::string Captioner::text_of(const std::vector<int64_t>& ids) const {
  return caption_text(*state_->tokenizer, *state_->model, ids);
}

std::vector<std::vector<Caption>> Captioner::run(vit::Context& ctx, const vit::PixelBatch& batch,
                                                 const GenerationConfig& config,
                                                 const std::vector<int64_t>& prompt) const {
  const vit::Var encoded = state_->model->encode(ctx, batch.pixel_values);
  std::vector<std::vector<Caption>> all;
  for (std::vector<Sequence>& sequences : generate(ctx, *state_->model, encoded.value(), prompt, config)) {
    std::vector<Caption>& captions = all.emplace_back();
    for (Sequence& sequence : sequences)
      captions.push_back({text_of(sequence.ids), std::move(sequence.ids), sequence.score});
  }
  return all;
}

std::vector<std::vector<Caption>> Captioner::operator()(const std::vector<vit::Image>& images,
                                                        const GenerationConfig& config,
                                                        const std::string& prompt) const {
  if (images.empty()) return {};
  const vit::ContextPool::Lease context = state_->contexts.take();
  const std::vector<int64_t> ids = prompt_ids(prompt);
  if (state_->preprocessor.fixed_size()) return run(*context, prepare(images), config, ids);
  std::vector<std::vector<Caption>> all;
  for (const vit::Image& image : images) all.push_back(run(*context, prepare({image}), config, ids).front());
  return all;
}

std::vector<Caption> Captioner::operator()(const std::vector<vit::Image>& images) const {
  std::vector<Caption> best;
  for (std::vector<Caption>& captions : (*this)(images, state_->generation))
    best.push_back(std::move(captions.front()));
  return best;
}

Caption Captioner::operator()(const vit::Image& image) const { return (*this)(std::vector<vit::Image>{image}).front(); }

const GenerationConfig& Captioner::generation() const { return state_->generation; }
const CaptionModel& Captioner::model() const { return *state_->model; }
const vit::Preprocessor& Captioner::preprocessor() const { return state_->preprocessor; }
const Tokenizer& Captioner::tokenizer() const { return *state_->tokenizer; }

}  // namespace captioning
