#include "tests/support/tiny_captioner.h"

#include <fstream>

#include "captioning/bpe_training.h"
#include "vit/core/rng.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace vit::test {

namespace {

captioning::Tokenizer tiny_tokenizer() {
  return captioning::train_bpe({"a small red star above a large blue ring .", "a green key left of a red star .",
                                "two blue rings and a cat , a dog"},
                               {.vocab_size = 80, .min_frequency = 1, .all_bytes = false});
}

/// config.json, the tokenizer's files and random weights.
void write_model(const std::filesystem::path& dir, const nlohmann::json& model, const std::string& name,
                 double crop_pct, const captioning::Tokenizer& tokenizer, uint64_t seed) {
  const nlohmann::json config = {{"vitkit", {{"model", model}, {"name", name}}},
                                 {"pretrained_cfg",
                                  {{"input_size", {3, 32, 32}},
                                   {"interpolation", "bilinear"},
                                   {"crop_pct", crop_pct},
                                   {"mean", {0.5, 0.5, 0.5}},
                                   {"std", {0.5, 0.5, 0.5}}}}};
  std::filesystem::create_directories(dir);
  std::ofstream(dir / "config.json") << config.dump(1);
  for (const auto& [file, content] : tokenizer.files()) std::ofstream(dir / file) << content;
  const ModelPlan plan = plan_model({config, name});
  std::vector<SafetensorsEntry> entries;
  plan.model->visit_parameters([&](const std::string& parameter_name, Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    Rng rng(seed, Rng::stream_of(parameter_name));
    fill_normal(value, rng, 0.5f);
    // A variance is no number below zero.
    if (parameter_name.ends_with("running_var"))
      for (int64_t i = 0; i < value.numel(); ++i) value.f32()[i] = 1.0f + value.f32()[i] * value.f32()[i];
    entries.push_back({parameter_name, value});
  });
  write_safetensors(dir / "model.safetensors", entries);
}

}  // namespace

void write_tiny_captioner(const std::filesystem::path& dir, const TinyCaptionerOptions& options) {
  const captioning::Tokenizer tokenizer = tiny_tokenizer();
  nlohmann::json model = {
      {"type", options.type},
      {"img_size", {32, 32}},
      {"vocab_size", tokenizer.size()},
      {"num_heads", 2},
      {"dropout", 0.0},
      {"backbone",
       {{"type", "resnet"}, {"block", "basic"}, {"layers", {1, 1}}, {"channels", {6, 8}}, {"stem_channels", 6}}}};
  if (options.type == "show_attend_tell")
    model.update({{"region_dim", 8}, {"embed_dim", 10}, {"hidden_dim", 12}});
  else
    model.update({{"d_model", 16},
                  {"decoder_layers", 2},
                  {"decoder_attention_heads", 2},
                  {"decoder_ffn_dim", 24},
                  {"max_positions", 20}});
  write_model(dir, model, "tiny_captioner", options.crop_pct, tokenizer, options.seed);
  if (!options.generation.is_null()) std::ofstream(dir / "generation_config.json") << options.generation.dump(1);
}

}  // namespace vit::test
