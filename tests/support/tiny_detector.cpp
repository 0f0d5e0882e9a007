#include "tests/support/tiny_detector.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "vit/core/rng.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace vit::test {

void write_tiny_detector(const std::filesystem::path& dir, const TinyDetectorOptions& options) {
  const nlohmann::json model = {{"type", "rt_detr"},
                                {"img_size", {64, 64}},
                                {"num_classes", options.labels.size()},
                                {"backbone",
                                 {{"type", "resnet"},
                                  {"block", "basic"},
                                  {"layers", {1, 1, 1, 1}},
                                  {"channels", {6, 8, 8, 8}},
                                  {"stem_channels", 6},
                                  {"act", "silu"},
                                  {"replace_stem_pool", true}}},
                                {"encoder_hidden_dim", 12},
                                {"encoder_ffn_dim", 16},
                                {"encoder_attention_heads", 2},
                                {"csp_blocks", 1},
                                {"d_model", 16},
                                {"num_queries", 5},
                                {"decoder_layers", 1},
                                {"decoder_ffn_dim", 16},
                                {"decoder_attention_heads", 2},
                                {"decoder_n_points", 2}};
  const nlohmann::json config = {{"vitkit", {{"model", model}, {"name", "tiny_detector"}}},
                                 {"pretrained_cfg",
                                  {{"input_size", {3, 64, 64}},
                                   {"interpolation", "bilinear"},
                                   {"crop_pct", 1.0},
                                   {"crop_mode", "squash"},
                                   {"mean", {0.5, 0.5, 0.5}},
                                   {"std", {0.5, 0.5, 0.5}},
                                   {"label_names", options.labels}}}};
  std::filesystem::create_directories(dir);
  std::ofstream(dir / "config.json") << config.dump(1);
  const ModelPlan plan = plan_model({config, "tiny_detector"});
  std::vector<SafetensorsEntry> entries;
  plan.model->visit_parameters([&](const std::string& name, Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    Rng rng(options.seed, Rng::stream_of(name));
    fill_normal(value, rng, 0.3f);
    // A variance is no number below zero.
    if (name.ends_with("running_var"))
      for (int64_t i = 0; i < value.numel(); ++i) value.f32()[i] = 1.0f + value.f32()[i] * value.f32()[i];
    entries.push_back({name, value});
  });
  write_safetensors(dir / "model.safetensors", entries);
}

}  // namespace vit::test
