#include "vit/verify.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>

#include "vit/core/context.h"
#include "vit/core/file.h"
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

/// A name of ReferenceOutput's tables ("post.thr{t}.{i}.boxes") as a question to the names of a file. `{i}` and `{i+1}`
/// are numbers, `{t}` any text; each may stand in it once.
class NamePattern {
 public:
  explicit NamePattern(const std::string& pattern) {
    std::string expression;
    for (size_t at = 0; at < pattern.size();) {
      const size_t close = pattern[at] == '{' ? pattern.find('}', at) : std::string::npos;
      if (close == std::string::npos) {
        if (!std::isalnum(static_cast<unsigned char>(pattern[at]))) expression += '\\';
        expression += pattern[at++];
      } else {
        fields_.push_back(pattern.substr(at + 1, close - at - 1));
        expression += fields_.back() == "t" ? "(.+)" : "([0-9]{1,6})";
        at = close + 1;
      }
    }
    expression_ = std::regex(expression);
  }

  /// `ours` with what `text` has in its place: "post.thr{t}.{i}.boxes" -> "post.thr0.3.0.boxes". Nothing where the text
  /// does not match.
  std::optional<std::string> translate(const std::string& text, std::string ours) const {
    std::smatch found;
    if (!std::regex_match(text, found, expression_)) return std::nullopt;
    for (size_t f = 0; f < fields_.size(); ++f) {
      std::string value = found[f + 1], field = fields_[f];
      if (field != "t") value = std::to_string(std::stoi(value) - (field == "i+1" ? 1 : 0));
      if (value.starts_with("-")) return std::nullopt;
      const std::string place = "{" + (field == "i+1" ? "i" : field) + "}";
      if (const size_t at = ours.find(place); at != std::string::npos) ours.replace(at, place.size(), value);
    }
    return ours;
  }

 private:
  std::regex expression_;
  std::vector<std::string> fields_;
};

bool is_integer(DType type) {
  return type != DType::f32 && type != DType::f64 && type != DType::f16 && type != DType::bf16;
}

/// Where a model observes what a reference calls by another name.
class NameTable {
 public:
  explicit NameTable(const std::map<std::string, ReferenceOutput>& names) {
    for (const auto& [theirs, ours] : names) entries_.emplace_back(NamePattern(theirs), ours);
  }
  /// An empty name: nowhere.
  ReferenceOutput find(const std::string& reference) const {
    for (const auto& [pattern, ours] : entries_)
      if (const auto name = pattern.translate(reference, ours.name)) return {name->c_str(), ours.channels_first};
    return "";
  }

 private:
  std::vector<std::pair<NamePattern, ReferenceOutput>> entries_;
};

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

/// Whether a tensor holds images: `input` or `input_X`, and no input of the family's own.
bool holds_images(const std::string& name, const std::vector<std::string>& own_inputs) {
  return (name == "input" || name.starts_with("input_")) &&
         std::find(own_inputs.begin(), own_inputs.end(), name) == own_inputs.end();
}

/// A file's bytes, u8.
Tensor file_bytes(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  return Tensor::from(std::vector<uint8_t>(text.begin(), text.end()), {static_cast<int64_t>(text.size())});
}

/// What the model is given: the images as f32, all else that the file has as it is stored, and the case.json beside it.
ReferenceRun reference_run(const SafetensorsFile& golden, const std::string& input, const Wanted& wanted,
                           const std::vector<std::string>& own_inputs) {
  ReferenceRun run;
  for (const TensorInfo& tensor : golden.tensors())
    if (!holds_images(tensor.name, own_inputs)) run.inputs.emplace(tensor.name, golden.view(tensor.name));
  const std::filesystem::path described = golden.path().parent_path() / "case.json";
  std::error_code error;
  if (std::filesystem::exists(described, error)) run.inputs.emplace("case.json", file_bytes(described));
  const Tensor images = to_f32(golden.view(input));
  if (images.rank() != 4 || images.numel() == 0)
    fail("expected images [B, channels, height, width], got ", images.shape());
  run.inputs.emplace("input", images);
  for (const auto& [theirs, ours] : wanted) run.wanted.push_back(ours.name);
  return run;
}

void run_and_compare(const ImageModel& model, const SafetensorsFile& golden, const std::string& input,
                     const Wanted& wanted, const Tolerances& tolerances, VerifyReport& report) {
  std::set<std::string> names;
  for (const auto& [theirs, ours] : wanted) names.insert(ours.name);
  Collector collector(names);
  Context ctx;
  ctx.observer = &collector;
  try {
    model.run_reference(ctx, reference_run(golden, input, wanted, model.reference_inputs()));
  } catch (const Error& error) {
    fail_usage(golden.path().string(), ": ", input, ": ", error.what());
  }
  for (const auto& [theirs, ours] : wanted) {
    const Tensor* value = collector.find(ours.name);
    if (value)
      report.compared.push_back(tolerances.compare(
          theirs, ours.channels_first && value->rank() == 4 ? channels_first(*value) : *value, golden.view(theirs)));
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

double Tolerances::limit_of(const std::string& name, double largest) const {
  const auto of = [this](const std::string& source) {
    const auto found = atol_.find(source);
    return found == atol_.end() ? -1.0 : found->second;
  };
  if (const double own = of(name); own >= 0.0) return own;
  if (const size_t at = name.find("_dynamic"); at != std::string::npos) return of(std::string(name).erase(at, 8));
  if (!name.starts_with("post.")) return -1.0;
  // The sources are of the order of one; in another unit (pixels) the error grows with the values.
  const double unit = std::max(1.0, largest);
  if (name.ends_with(".boxes")) return unit * of("pred_boxes");
  if (name.ends_with(".scores")) return unit * std::max(of("logits"), of("pred_logits"));
  return -1.0;
}

Comparison Tolerances::compare(const std::string& name, const Tensor& ours, const Tensor& stored) const {
  Comparison result;
  result.name = name;
  const bool exact = is_integer(stored.dtype());
  const Tensor reference = to_f32(stored), values = to_f32(ours);
  double largest = 0.0;
  for (int64_t i = 0; i < reference.numel(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(reference.f32()[i])));
  const double atol = exact ? 0.0 : limit_of(name, largest);
  result.relative = atol < 0.0;
  result.limit = result.relative ? rtol_ : atol;
  if (!(ours.shape() == reference.shape())) {
    result.detail = str("shape ", ours.shape(), ", reference ", reference.shape());
    result.max_abs = result.rel = std::numeric_limits<double>::quiet_NaN();
    return result;
  }
  double difference = 0.0, norm = 0.0;
  bool finite = true;
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double want = reference.f32()[i], error = std::abs(values.f32()[i] - want);
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
  const std::vector<std::string> inputs = model.reference_inputs();
  std::vector<std::string> suffixes;
  for (const TensorInfo& tensor : golden.tensors())
    if (holds_images(tensor.name, inputs)) suffixes.push_back(tensor.name.substr(5));
  if (suffixes.empty()) fail_usage(options.golden.string(), ": there is no tensor 'input'");
  std::sort(suffixes.begin(), suffixes.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });

  VerifyReport report;
  std::map<std::string, Wanted> by_input;
  const NameTable names(model.reference_names());
  for (const TensorInfo& tensor : golden.tensors()) {
    if (holds_images(tensor.name, inputs)) continue;
    if (std::find(inputs.begin(), inputs.end(), tensor.name) != inputs.end()) continue;
    const auto suffix = std::find_if(suffixes.begin(), suffixes.end(), [&](const std::string& candidate) {
      return tensor.name.size() > candidate.size() && tensor.name.ends_with(candidate);
    });
    const ReferenceOutput ours = suffix == suffixes.end() ? "" : names.find(without_suffix(tensor.name, *suffix));
    if (ours.name.empty())
      report.unknown.push_back(tensor.name);
    else
      by_input["input" + *suffix].emplace(tensor.name, ours);
  }
  for (const auto& [input, wanted] : by_input) run_and_compare(model, golden, input, wanted, tolerances, report);
  return report;
}

}  // namespace vit
