#include "tests/parity/named_model.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <span>

#include "vit/io/json.h"
#include "vit/models/load.h"

namespace vit {

GoldenComparison::GoldenComparison(const std::filesystem::path& dir)
    : golden_(SafetensorsFile::open(dir / "golden.safetensors")), case_(load_json(dir / "case.json")) {}

void GoldenComparison::compare(const std::string& name, const Tensor& ours) {
  const Tensor reference = golden_.view(name);
  GradientResult result{name, 0.0, case_.at("atol").at(name).get<double>()};
  if (!ours.defined() || ours.numel() != reference.numel())
    result.max_abs = std::nan("");
  else
    for (int64_t i = 0; i < ours.numel(); ++i) {
      const double d = std::abs(static_cast<double>(ours.f32()[i]) - reference.f32()[i]);
      if (!(d <= result.max_abs)) result.max_abs = d;
    }
  results_.push_back(std::move(result));
}

void GoldenComparison::compare_exactly(const std::string& name, const std::vector<int64_t>& ours) {
  const std::span<int64_t> reference = golden_.view(name).span<int64_t>();
  const bool same = std::equal(ours.begin(), ours.end(), reference.begin(), reference.end());
  results_.push_back({name, same ? 0.0 : 1.0, 0.5});
}

NamedModel::NamedModel(const Checkpoint& checkpoint, const nlohmann::json& config)
    : plan_(plan_model({config, checkpoint.dir() / "config.json", &checkpoint.weights()})) {
  load_parameters(*plan_.model, checkpoint.weights(), plan_.keys, Purpose::training);
  plan_.model->visit_parameters([&](const std::string& name, Parameter& parameter) {
    if (parameter.buffer) return;
    parameter.value = Var::leaf(parameter.value.value());
    leaves_.emplace_back(name, parameter.value);
  });
}

namespace {

Tensor transposed(const Tensor& matrix) {
  const int64_t rows = matrix.size(0), cols = matrix.size(1);
  Tensor turned = Tensor::empty({cols, rows});
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) turned.f32()[c * rows + r] = matrix.f32()[r * cols + c];
  return turned;
}

}  // namespace

void NamedModel::compare_gradients(GoldenComparison& comparison) const {
  std::set<std::string> compared;
  for (const auto& [name, leaf] : leaves_) {
    int64_t begin = 0;
    Tensor grad = leaf.grad();
    if (grad.defined() && checkpoint_transposed(plan_.keys, name)) grad = transposed(grad);
    for (const std::string& theirs : checkpoint_names(plan_.keys, name)) {
      const std::string golden = "grad." + theirs;
      if (!comparison.golden().find(golden)) continue;
      const int64_t count = comparison.golden().view(golden).numel();
      if (grad.defined() && begin + count <= grad.numel())
        comparison.compare(golden, grad.view({grad.numel()}).slice(begin, begin + count));
      else
        comparison.compare(golden, Tensor());
      begin += count;
      compared.insert(golden);
    }
  }
  for (const TensorInfo& tensor : comparison.golden().tensors())
    if (tensor.name.starts_with("grad.") && !compared.contains(tensor.name)) comparison.compare(tensor.name, Tensor());
}

}  // namespace vit
