#include "apps/train_captioning.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "captioning/caption_task.h"
#include "captioning/generation_config.h"
#include "captioning/run_tokenizer.h"
#include "datasets/caption_loader.h"
#include "vit/core/check.h"
#include "vit/models/load.h"

namespace apps {

namespace {

bool has_tokenizer(const TrainStart& start) {
  if (!start.has_weights()) return false;
  for (const char* file : {"tokenizer.json", "vocab.json", "vocab.txt"})
    if (!start.checkpoint->file(file).empty()) return true;
  return false;
}

/// How a checkpoint of this run writes captions: generation_config.json, as read_generation_config() reads it.
std::string generation_file(const captioning::GenerationConfig& generation, const captioning::CaptionModel& model) {
  const captioning::StartAndEnd marks = model.start_and_end();
  nlohmann::ordered_json json = {{"decoder_start_token_id", generation.start.value_or(marks.start)},
                                 {"bos_token_id", generation.start.value_or(marks.start)},
                                 {"eos_token_id", generation.ends.value_or(marks.ends)},
                                 {"pad_token_id", generation.pad.value_or(marks.pad)},
                                 {"num_beams", generation.num_beams},
                                 {"length_penalty", generation.length_penalty},
                                 {"early_stopping", captioning::early_stopping_json(generation.early_stopping)},
                                 {"no_repeat_ngram_size", generation.no_repeat_ngram_size},
                                 {"repetition_penalty", generation.repetition_penalty},
                                 {"min_new_tokens", generation.min_new_tokens},
                                 {"min_length", generation.min_length}};
  if (generation.max_new_tokens)
    json["max_new_tokens"] = *generation.max_new_tokens;
  else
    json["max_length"] = generation.max_length;
  return json.dump(2) + "\n";
}

template <class T, class U>
void override_with(T& value, const std::optional<U>& asked) {
  if (asked) value = *asked;
}

/// The checkpoint's settings with the run's.
captioning::GenerationConfig generation_of(const TrainConfig& config, const TrainStart& start) {
  captioning::GenerationConfig generation;
  generation.max_new_tokens = 30;
  if (start.has_weights()) generation = captioning::read_generation_config(*start.checkpoint);
  generation.do_sample = false;
  generation.num_return_sequences = 1;
  override_with(generation.num_beams, config.generation.num_beams);
  override_with(generation.length_penalty, config.generation.length_penalty);
  override_with(generation.max_new_tokens, config.generation.max_new_tokens);
  override_with(generation.min_new_tokens, config.generation.min_new_tokens);
  override_with(generation.no_repeat_ngram_size, config.generation.no_repeat_ngram_size);
  override_with(generation.repetition_penalty, config.generation.repetition_penalty);
  return generation;
}

void add_bad(TrainSetup& setup, const datasets::CaptionDataset& data) {
  const std::vector<datasets::BadCaption>& bad = data.bad_captions();
  setup.bad_captions.insert(setup.bad_captions.end(), bad.begin(), bad.end());
}

}  // namespace

std::string fit_vocabulary(TrainSetup& setup, TrainStart& start, const TrainConfig& config,
                           captioning::CaptionModel& model) {
  const auto train = datasets::require_captions(setup.data.train, setup.data.train_name);
  if (has_tokenizer(start)) {
    setup.tokenizer = std::make_shared<captioning::Tokenizer>(captioning::Tokenizer::load(start.checkpoint->dir()));
    return "";
  }
  if (start.has_weights())
    vit::fail_usage("model: the checkpoint ", config.model.text(),
                    " has no tokenizer (tokenizer.json, vocab.json with merges.txt, or vocab.txt)");
  setup.tokenizer = std::make_shared<captioning::Tokenizer>(captioning::learnt_tokenizer(*train, config.tokenizer));
  const int64_t tokens = setup.tokenizer->size();
  const std::vector<std::string> names = model.replace_head(tokens);
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    if (std::find(names.begin(), names.end(), name) != names.end())
      vit::initialise_parameter(name, parameter, static_cast<uint64_t>(config.trainer.seed));
  });
  captioning::require_matching(*setup.tokenizer, model, "the run's tokenizer");
  return fmt::format("a vocabulary of {} tokens", tokens);
}

void add_captioning(TrainSetup& setup, TrainConfig& config, const TrainStart& start, captioning::CaptionModel& model) {
  const auto train = datasets::require_captions(setup.data.train, setup.data.train_name);
  add_bad(setup, *train);
  setup.make_train_loader = [train, preprocessor = setup.preprocessor, augment = config.caption_augment,
                             sampler = config.sampler,
                             seed = static_cast<uint64_t>(config.trainer.seed)](const datasets::LoaderConfig& loader) {
    return datasets::make_caption_train_loader(*train, preprocessor, augment, sampler, loader, seed);
  };
  const captioning::GenerationConfig generation = generation_of(config, start);
  captioning::CaptionValidation validation;
  if (setup.data.val) {
    const auto val = datasets::require_captions(setup.data.val, setup.data.val_name);
    setup.val_captions = val;
    setup.val = datasets::make_caption_eval_loader(*val, setup.preprocessor, config.loader);
    add_bad(setup, *val);
    validation = {setup.val.get(), val.get(), generation};
  }
  setup.files["generation_config.json"] = generation_file(generation, model);
  setup.learns = fmt::format(" with captions of {} tokens", setup.tokenizer->size());
  if (config.trainer.eval_metric == vit::TrainerConfig{}.eval_metric) config.trainer.eval_metric = "cider";
  setup.task =
      std::make_unique<captioning::CaptionTask>(model, *setup.tokenizer, config.caption, validation, setup.files);
}

}  // namespace apps
