#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/parity/gradient_case.h"
#include "vit/autograd/losses.h"
#include "vit/autograd/tape.h"
#include "vit/io/checkpoint.h"
#include "vit/io/json.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"
#include "vit/train/gradients.h"
#include "vit/train/optimizer.h"
#include "vit/train/param_group.h"

namespace vit {

namespace {

/// What the name of a run says it is (the case's notes spell it out).
struct Run {
  std::string name;
  OptimizerConfig optimizer;
  double smoothing = 0.0;
  std::string input = "input", targets = "labels";
};

bool says(const std::string& name, const std::string& word) {
  return ("_" + name + "_").find("_" + word + "_") != std::string::npos;
}

Run describe(const std::string& name, const SafetensorsFile& golden) {
  Run run{.name = name, .optimizer = {}};
  run.optimizer.filter_bias_and_bn = says(name, "nowd1d");
  if (says(name, "sgd")) {
    run.optimizer.opt = says(name, "nesterov") ? "sgd" : "momentum";
    run.optimizer.lr = 0.05;
    run.optimizer.weight_decay = 1e-4;
  }
  if (says(name, "clip")) run.optimizer.clip_grad = 0.5;
  if (says(name, "ls")) {  // the smoothing is in the targets that it is equal to
    const Tensor targets = golden.view(name + ".soft_targets_equiv");
    run.smoothing =
        *std::min_element(targets.f32(), targets.f32() + targets.numel()) * static_cast<double>(targets.size(1));
  }
  if (says(name, "mixup")) {
    run.input = name + ".input";
    run.targets = name + ".soft_targets";
  }
  if (!says(name, "ce") && !says(name, "ls") && !says(name, "mixup")) fail("no run is known by the name of ", name);
  return run;
}

double distance(const Tensor& ours, const Tensor& reference) {
  if (!ours.defined() || ours.numel() != reference.numel()) return std::nan("");
  double worst = 0.0;
  for (int64_t i = 0; i < ours.numel(); ++i) {
    const double d = std::abs(static_cast<double>(ours.f32()[i]) - reference.f32()[i]);
    worst = d <= worst ? worst : d;  // NaN is kept
  }
  return worst;
}

/// One run: five steps on the same batch.
class Trainer {
 public:
  Trainer(const std::filesystem::path& dir, const SafetensorsFile& golden, const nlohmann::json& errors, Run run)
      : golden_(golden),
        errors_(errors),
        run_(std::move(run)),
        model_(load_model(Checkpoint::open(dir.string()), {.input_size = {}, .purpose = Purpose::training})) {
    model_->visit_parameters([&](const std::string& name, Parameter& parameter) {
      parameter.value = Var::leaf(parameter.value.value());
      leaves_.emplace_back(name, parameter.value);
    });
  }

  std::vector<GradientResult> run() {
    const auto optimizer =
        make_optimizer(run_.optimizer, parameters(), plan_param_groups(parameters(), run_.optimizer));
    for (int step = 1; step <= 5; ++step) {
      Context ctx;
      ctx.training = true;
      Tape tape(ctx);
      ctx.tape = &tape;
      const Var logits = model_->forward(ctx, golden_.view(run_.input));
      const Var loss = cross_entropy(ctx, logits, golden_.view(run_.targets),
                                     {.label_smoothing = static_cast<float>(run_.smoothing)});
      compare("loss." + std::to_string(step), loss.value(), limit("loss"));
      tape.backward(loss);
      if (step == 1)
        for (const auto& [name, leaf] : leaves_) compare("grad." + name, leaf.grad(), limit("grad"));
      const GradientReport report = prepare_gradients(parameters(), run_.optimizer);
      compare("gradnorm." + std::to_string(step), Tensor::full({}, static_cast<float>(report.norm)), limit("gradnorm"));
      optimizer->step(parameters(), run_.optimizer.lr, report.grad_scale);
      for (const auto& [name, leaf] : leaves_) {
        compare_parameter(step, name, leaf.value());
        leaf.clear_grad();
      }
    }
    return std::move(results_);
  }

 private:
  std::vector<NamedParameter> parameters() const {
    std::vector<NamedParameter> list;
    for (const auto& [name, leaf] : leaves_) list.push_back({name, leaf.value(), leaf.grad()});
    return list;
  }

  /// 20 times the error of the reference's own f32 run.
  double limit(const std::string& kind) const {
    const nlohmann::json& group = errors_.at(run_.name);
    return group.contains(kind) ? 20.0 * group.at(kind).get<double>() : 0.0;
  }

  void compare(const std::string& name, const Tensor& ours, double limit) {
    const std::string full = run_.name + "/" + name;
    if (golden_.find(full)) results_.push_back({full, distance(ours, golden_.view(full)), limit});
  }

  /// The gradient of a key's bias is zero but for rounding, which AdamW turns into steps: those rows have lr per step.
  void compare_parameter(int step, const std::string& name, const Tensor& value) {
    constexpr double kParameter = 2e-5;
    const std::string full = str("param.", step, ".", name);
    if (!name.ends_with("attn.qkv.bias")) return compare(full, value, kParameter);
    if (!golden_.find(run_.name + "/" + full)) return;
    const Tensor reference = golden_.view(run_.name + "/" + full);
    const int64_t dim = value.numel() / 3;
    for (int64_t part = 0; part < 3; ++part) {
      const double limit = part == 1 ? run_.optimizer.lr * step : kParameter;
      results_.push_back(
          {str(run_.name, "/", full, part == 1 ? " (keys)" : ""),
           distance(value.slice(part * dim, (part + 1) * dim), reference.slice(part * dim, (part + 1) * dim)), limit});
    }
  }

  const SafetensorsFile& golden_;
  const nlohmann::json& errors_;
  Run run_;
  std::unique_ptr<ImageModel> model_;
  std::vector<std::pair<std::string, Var>> leaves_;
  std::vector<GradientResult> results_;
};

}  // namespace

std::vector<GradientResult> run_training_golden(const std::filesystem::path& dir) {
  const SafetensorsFile golden = SafetensorsFile::open(dir / "golden.safetensors");
  const nlohmann::json file = load_json(dir / "case.json");
  std::vector<GradientResult> results;
  const nlohmann::json& errors = file.at("fp32_vs_fp64_max_by_group");
  for (const auto& [name, unused] : errors.items())
    for (GradientResult& result : Trainer(dir, golden, errors, describe(name, golden)).run())
      results.push_back(std::move(result));
  return results;
}

}  // namespace vit
