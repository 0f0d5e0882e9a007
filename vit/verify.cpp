#include "vit/verify.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "vit/core/context.h"
#include "vit/io/json.h"
#include "vit/io/safetensors.h"
#include "vit/kernels/kernels.h"
#include "vit/models/model.h"

namespace vit {

namespace {

/// Keeps the intermediates of the given names.
class Collector : public Observer {
 public:
  explicit Collector(std::set<std::string> names) : names_(std::move(names)) {}
  bool wants(const std::string& name) override { return names_.count(name) > 0; }
  void observe(const std::string& name, const Tensor& value) override { seen_[name] = value.clone(); }
  const Tensor* find(const std::string& name) const {
    const auto found = seen_.find(name);
    return found == seen_.end() ? nullptr : &found->second;
  }

 private:
  std::set<std::string> names_;
  std::map<std::string, Tensor> seen_;
};

/// `text` against a pattern with {i} or {i+1}: true on a match, `number` is i (as text).
bool matches(const std::string& pattern, const std::string& text, std::string& number) {
  const size_t open = pattern.find('{');
  if (open == std::string::npos) return pattern == text;
  const size_t close = pattern.find('}', open);
  const std::string head = pattern.substr(0, open), tail = pattern.substr(close + 1);
  if (text.size() <= head.size() + tail.size() || !text.starts_with(head) || !text.ends_with(tail)) return false;
  const std::string digits = text.substr(head.size(), text.size() - head.size() - tail.size());
  if (digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string::npos) return false;
  const int value = std::stoi(digits) - (pattern.substr(open, close - open) == "{i+1" ? 1 : 0);
  number = std::to_string(value);
  return value >= 0;
}

/// Where we observe a reference output; an empty name: nowhere.
ReferenceOutput our_output(const std::map<std::string, ReferenceOutput>& names, const std::string& reference) {
  for (const auto& [theirs, ours] : names) {
    std::string number;
    if (!matches(theirs, reference, number)) continue;
    ReferenceOutput output = ours;
    if (const size_t at = output.name.find("{i}"); at != std::string::npos) output.name.replace(at, 3, number);
    return output;
  }
  return "";
}

/// "output_dynamic_sq" with suffix "_sq" -> "output": how the image size was reached makes no difference to the name.
std::string without_suffix(std::string name, const std::string& suffix) {
  name.resize(name.size() - suffix.size());
  constexpr std::string_view kDynamic = "_dynamic";
  if (!suffix.empty() && name.ends_with(kDynamic)) name.resize(name.size() - kDynamic.size());
  return name;
}

/// The outputs that one input of the golden file leads to: reference name -> ours.
using Wanted = std::map<std::string, ReferenceOutput>;

/// [B, height, width, C] -> [B, C, height, width].
Tensor channels_first(const Tensor& map) {
  const int64_t channels = map.size(3), positions = map.size(1) * map.size(2);
  Tensor result = Tensor::empty({map.size(0), channels, map.size(1), map.size(2)});
  for (int64_t b = 0; b < map.size(0); ++b)
    kernels::kernels().transpose(result.f32() + b * positions * channels, positions,
                                 map.f32() + b * positions * channels, channels, positions, channels);
  return result;
}

void run_and_compare(const ImageModel& model, const SafetensorsFile& golden, const std::string& input,
                     const Wanted& wanted, const Tolerances& tolerances, VerifyReport& report) {
  std::set<std::string> names;
  for (const auto& [theirs, ours] : wanted) names.insert(ours.name);
  Collector collector(names);
  const Tensor images = to_f32(golden.view(input));
  const std::string where = golden.path().string() + ": " + input;
  if (images.rank() != 4 || images.numel() == 0)
    fail_usage(where, ": expected images [B, channels, height, width], got ", images.shape());
  Context ctx;
  ctx.observer = &collector;
  try {
    model.forward(ctx, images);
  } catch (const Error& error) {
    fail_usage(where, ": ", error.what());
  }
  for (const auto& [theirs, ours] : wanted) {
    const Tensor* value = collector.find(ours.name);
    if (value)
      report.compared.push_back(
          tolerances.compare(theirs, ours.channels_first && value->rank() == 4 ? channels_first(*value) : *value,
                             to_f32(golden.view(theirs))));
    else
      report.unknown.push_back(theirs);
  }
}

}  // namespace

bool VerifyReport::ok() const {
  return !compared.empty() && std::all_of(compared.begin(), compared.end(), [](const Comparison& c) { return c.ok; });
}

Tolerances::Tolerances(const std::filesystem::path& case_json, double rtol) : rtol_(rtol) {
  std::error_code error;
  if (!std::filesystem::exists(case_json, error)) return;
  const nlohmann::json file = load_json(case_json);
  const JsonObject json(file, case_json.string());
  const JsonObject errors = json.get_object("fp32_vs_fp64");
  for (const std::string& name : errors.keys()) {
    const std::vector<double> figures = errors.get_doubles(name, {});
    if (!figures.empty()) atol_[name] = 20.0 * figures.front();
  }
  if (json.has("atol") && json.find("atol")->is_object()) {
    const JsonObject given = json.get_object("atol");
    for (const std::string& name : given.keys()) atol_[name] = given.require_double(name);
  }
}

Comparison Tolerances::compare(const std::string& name, const Tensor& ours, const Tensor& reference) const {
  Comparison result;
  result.name = name;
  std::string source = name;
  if (const size_t at = source.find("_dynamic"); at != std::string::npos && !atol_.count(source)) source.erase(at, 8);
  const auto atol = atol_.find(source);
  result.relative = atol == atol_.end();
  result.limit = result.relative ? rtol_ : atol->second;
  if (!(ours.shape() == reference.shape())) {
    result.detail = str("shape ", ours.shape(), ", reference ", reference.shape());
    result.max_abs = result.rel = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  double difference = 0.0, norm = 0.0;
  bool finite = true;
  for (int64_t i = 0; i < ours.numel(); ++i) {
    const double want = reference.f32()[i], error = std::abs(ours.f32()[i] - want);
    finite = finite && std::isfinite(error);
    result.max_abs = std::max(result.max_abs, error);
    difference += error * error;
    norm += want * want;
  }
  result.rel = norm > 0.0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  result.ok = finite && (result.relative ? result.rel : result.max_abs) <= result.limit;
  if (!finite) {
    result.detail = "not finite";
    result.max_abs = result.rel = std::numeric_limits<double>::quiet_NaN();
  }
  return result;
}

VerifyReport verify_model(const ImageModel& model, const VerifyOptions& options) {
  const SafetensorsFile golden = SafetensorsFile::open(options.golden);
  const Tolerances tolerances(options.golden.parent_path() / "case.json", options.rtol);
  // Longest suffix first, so that "output_a_b" belongs to "input_a_b" and not to "input_b".
  std::vector<std::string> suffixes;
  for (const TensorInfo& tensor : golden.tensors())
    if (tensor.name == "input" || tensor.name.starts_with("input_")) suffixes.push_back(tensor.name.substr(5));
  if (suffixes.empty()) fail_usage(options.golden.string(), ": there is no tensor 'input'");
  std::sort(suffixes.begin(), suffixes.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });

  VerifyReport report;
  std::map<std::string, Wanted> by_input;
  for (const TensorInfo& tensor : golden.tensors()) {
    if (tensor.name.starts_with("input")) continue;
    const auto suffix = std::find_if(suffixes.begin(), suffixes.end(), [&](const std::string& candidate) {
      return tensor.name.size() > candidate.size() && tensor.name.ends_with(candidate);
    });
    const ReferenceOutput ours =
        suffix == suffixes.end() ? "" : our_output(model.reference_names(), without_suffix(tensor.name, *suffix));
    if (ours.name.empty())
      report.unknown.push_back(tensor.name);
    else
      by_input["input" + *suffix].emplace(tensor.name, ours);
  }
  for (const auto& [input, wanted] : by_input) run_and_compare(model, golden, input, wanted, tolerances, report);
  return report;
}

}  // namespace vit
