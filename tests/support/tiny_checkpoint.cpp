#include "tests/support/tiny_checkpoint.h"

#include <fstream>

#include "vit/core/rng.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace vit::test {

nlohmann::json tiny_config(const TinyOptions& options) {
  const int64_t classes = options.classes > 0 ? options.classes : static_cast<int64_t>(options.labels.size());
  nlohmann::json config = {
      {"architecture", "vit_tiny_patch16_224"},
      {"num_classes", classes},
      {"model_args", {{"img_size", 32}, {"patch_size", 8}, {"embed_dim", 32}, {"depth", 2}, {"num_heads", 2}}},
      {"pretrained_cfg",
       {{"input_size", {3, 32, 32}},
        {"interpolation", "bicubic"},
        {"crop_pct", 1.0},
        {"mean", {0.5, 0.5, 0.5}},
        {"std", {0.5, 0.5, 0.5}}}}};
  if (options.classes == 0) config["pretrained_cfg"]["label_names"] = options.labels;
  return config;
}

void write_tiny_checkpoint(const std::filesystem::path& dir, const TinyOptions& options) {
  std::filesystem::create_directories(dir);
  const nlohmann::json config = tiny_config(options);
  std::ofstream(dir / "config.json") << config.dump(1);
  const ModelPlan plan = plan_model({config, "tiny"});
  std::vector<SafetensorsEntry> entries;
  plan.model->visit_parameters([&](const std::string& name, Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    Rng rng(options.seed, Rng::stream_of(name));
    fill_normal(value, rng, 0.3f);
    entries.push_back({name, value});
  });
  write_safetensors(dir / "model.safetensors", entries);
}

}  // namespace vit::test
