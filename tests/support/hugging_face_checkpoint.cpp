#include "tests/support/hugging_face_checkpoint.h"

#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "vit/core/rng.h"
#include "vit/io/safetensors.h"
#include "vit/kernels/kernels.h"
#include "vit/models/build.h"

namespace vit::test {

namespace {

Tensor random_value(const std::string& name, const Parameter& parameter, uint64_t seed, float spread) {
  Tensor value = Tensor::empty(parameter.shape);
  Rng rng(seed, Rng::stream_of(name));
  const bool matrix = parameter.shape.rank() > 1;
  const bool factor = !matrix && name.find("norm") != std::string::npos && name.ends_with("weight");
  fill_normal(value, rng, matrix ? spread : 0.1f, factor ? 1.0f : 0.0f);
  return value;
}

Tensor transposed(const Tensor& matrix) {
  const int64_t rows = matrix.size(0), cols = matrix.size(1);
  Tensor turned = Tensor::empty({cols, rows});
  kernels::kernels().transpose(turned.f32(), rows, matrix.f32(), cols, rows, cols);
  return turned;
}

}  // namespace

void write_hugging_face_checkpoint(const std::filesystem::path& dir, const nlohmann::json& config, uint64_t seed,
                                   float spread) {
  ModelPlan plan = plan_model({config, "config.json", nullptr});
  std::vector<SafetensorsEntry> entries;
  plan.model->visit_parameters([&](const std::string& name, Parameter& parameter) {
    const Tensor value = random_value(name, parameter, seed, spread);
    const std::vector<std::string> theirs = checkpoint_names(plan.keys, name);
    const int64_t rows = parameter.shape[0] / static_cast<int64_t>(theirs.size());
    for (size_t i = 0; i < theirs.size(); ++i) {
      const auto first = static_cast<int64_t>(i) * rows;
      const Tensor part = value.slice(first, first + rows);
      const bool turn = checkpoint_transposed(plan.keys, name) && part.rank() == 2;
      entries.push_back({theirs[i], turn ? transposed(part) : part});
    }
  });
  std::filesystem::create_directories(dir);
  write_safetensors(dir / "model.safetensors", entries);
  std::ofstream(dir / "config.json") << config.dump(1);
}

}  // namespace vit::test
