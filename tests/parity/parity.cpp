// Runs reference cases: `parity DIR [--only A1,B2]`. A case is a folder with golden.safetensors; its family is the
// folder's name up to the first underscore without trailing small letters ("A1b_vit_gap": A1). One line per case, then
// "N passed, N failed"; a family that nobody here knows fails. Exit status: 0 all passed, 1 some failed or none was
// found, 2 usage.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "captioning/tokenizer.h"
#include "tests/parity/caption_case.h"
#include "tests/parity/caption_metrics_case.h"
#include "tests/parity/coco_case.h"
#include "tests/parity/detection_case.h"
#include "tests/parity/explain_case.h"
#include "tests/parity/gradient_case.h"
#include "tests/parity/preprocess_case.h"
#include "tests/support/schedule_golden.h"
#include "tests/support/tokenizer_golden.h"
#include "vit/core/check.h"
#include "vit/io/checkpoint.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/verify.h"

namespace fs = std::filesystem;

namespace {

/// What one case came to.
struct Outcome {
  bool passed = false;
  std::string detail;
};

/// A whole model: the case's own checkpoint, or the one that its case.json points to.
Outcome run_model_case(const fs::path& dir) {
  fs::path checkpoint = dir;
  if (!fs::exists(dir / "config.json")) {
    const nlohmann::json file = vit::load_json(dir / "case.json");
    checkpoint = (dir / vit::JsonObject(file, (dir / "case.json").string()).require_string("weights")).parent_path();
  }
  const auto model = vit::load_model(vit::Checkpoint::open(checkpoint.lexically_normal().string()));
  const vit::VerifyReport report = vit::verify_model(*model, {.golden = dir / "golden.safetensors"});
  Outcome outcome{report.ok() && report.unknown.empty(), std::to_string(report.compared.size()) + " tensors"};
  double worst = 0.0;
  for (const vit::Comparison& c : report.compared) {
    const double share = c.limit > 0.0 ? (c.relative ? c.rel : c.max_abs) / c.limit : 0.0;
    worst = std::max(worst, share);
    if (!c.ok)
      outcome.detail +=
          vit::str("; ", c.name, ": max_abs ", c.max_abs, " rel ", c.rel, " limit ", c.limit, " ", c.detail);
  }
  for (const std::string& name : report.unknown) outcome.detail += "; not compared: " + name;
  outcome.detail += vit::str(", worst at ", std::round(1000.0 * worst) / 10.0, " % of its tolerance");
  return outcome;
}

Outcome run_preprocess_case(const fs::path& dir) {
  Outcome outcome;
  size_t count = 0;
  outcome.passed = true;
  for (const auto& result : vit::run_preprocess_golden(dir)) {
    ++count;
    outcome.passed = outcome.passed && result.ok;
    if (!result.ok) outcome.detail += vit::str("; ", result.name, ": max_abs ", result.max_abs);
  }
  outcome.passed = outcome.passed && count > 0;
  outcome.detail = std::to_string(count) + " tensors" + outcome.detail;
  return outcome;
}

Outcome run_gradient_case(const fs::path& dir, std::vector<vit::GradientResult> (*run)(const fs::path&)) {
  const std::vector<vit::GradientResult> results = run(dir);
  Outcome outcome{!results.empty(), std::to_string(results.size()) + " tensors"};
  double worst = 0.0;
  for (const vit::GradientResult& result : results) {
    worst = std::max(worst, result.max_abs / result.limit);
    if (result.ok()) continue;
    outcome.passed = false;
    outcome.detail += vit::str("; ", result.name, ": max_abs ", result.max_abs, " limit ", result.limit);
  }
  outcome.detail += vit::str(", worst at ", std::round(1000.0 * worst) / 10.0, " % of its tolerance");
  return outcome;
}

/// Figures that are equal to within rounding.
template <class Figure>
Outcome run_figures_case(const std::vector<Figure>& figures) {
  Outcome outcome{!figures.empty(), {}};
  double worst = 0.0;
  for (const Figure& figure : figures) {
    worst = std::max(worst, std::abs(figure.ours - figure.reference));
    outcome.passed = outcome.passed && figure.ok();
    if (!figure.ok()) outcome.detail += vit::str("; ", figure.name, ": ", figure.ours, ", not ", figure.reference);
  }
  outcome.detail = vit::str(figures.size(), " figures", outcome.detail, ", worst off by ", worst);
  return outcome;
}

Outcome run_schedule_case(const fs::path& dir) {
  Outcome outcome{true, {}};
  size_t rates = 0;
  double worst = 0.0;
  for (const auto& result : vit::test::run_schedule_golden(dir)) {
    rates += result.count;
    worst = std::max(worst, result.max_abs / result.limit);
    outcome.passed = outcome.passed && result.ok();
    if (!result.ok()) outcome.detail += vit::str("; ", result.name, ": max_abs ", result.max_abs);
  }
  outcome.passed = outcome.passed && rates > 0;
  outcome.detail = vit::str(rates, " rates", outcome.detail, ", worst at ", std::round(1000.0 * worst) / 10.0,
                            " % of its tolerance");
  return outcome;
}

/// What the case's tokenizer makes of its texts, beside what its model does.
void add_tokenizer(const fs::path& dir, Outcome& outcome) {
  const auto result = vit::test::run_tokenizer_golden(captioning::Tokenizer::load(dir), dir / "tokenizer_golden.json");
  outcome.passed = outcome.passed && result.texts > 0 && result.wrong.empty();
  outcome.detail += vit::str(", ", result.texts, " texts");
  for (const std::string& wrong : result.wrong) outcome.detail += "; " + wrong;
}

/// The families, by the prefix of their cases' names; the longest that fits is taken.
const std::map<std::string, std::function<Outcome(const fs::path&)>>& families() {
  static const std::map<std::string, std::function<Outcome(const fs::path&)>> known = {
      {"A1", run_model_case},
      {"A2", run_model_case},
      {"A3", run_model_case},
      {"A5", run_model_case},
      {"A6", run_model_case},
      {"A6b", run_model_case},
      {"A4", run_model_case},
      {"A6c", run_model_case},
      {"A7", run_model_case},
      {"A9", run_model_case},
      {"B1", run_model_case},
      {"B2", run_model_case},
      {"B3", run_model_case},
      {"B4", run_model_case},
      {"B5", run_model_case},
      {"B6", run_model_case},
      {"B7", run_model_case},
      {"B8", run_model_case},
      {"B8b", run_model_case},
      {"B8c", run_model_case},
      {"B8d", run_model_case},
      {"E1", run_model_case},
      {"H1", run_model_case},
      {"D", run_preprocess_case},
      {"C1", [](const fs::path& dir) { return run_gradient_case(dir, vit::run_training_golden); }},
      {"C1b", run_schedule_case},
      {"C2", [](const fs::path& dir) { return run_gradient_case(dir, vit::run_detection_loss_golden); }},
      {"C3", [](const fs::path& dir) { return run_figures_case(vit::run_coco_golden(dir)); }},
      {"C4", [](const fs::path& dir) { return run_figures_case(vit::run_caption_metrics_golden(dir)); }},
      {"F1", [](const fs::path& dir) { return run_gradient_case(dir, vit::run_explain_golden); }},
      {"G1", [](const fs::path& dir) { return run_gradient_case(dir, vit::run_detector_gradients_golden); }},
      {"G2", [](const fs::path& dir) { return run_gradient_case(dir, vit::run_detector_gradients_golden); }},
      {"G3", [](const fs::path& dir) { return run_gradient_case(dir, vit::run_captioner_gradients_golden); }},
      {"A8", [](const fs::path& dir) { return run_gradient_case(dir, vit::run_attention_golden); }},
      {"A8b", [](const fs::path& dir) { return run_gradient_case(dir, vit::run_multihead_golden); }}};
  return known;
}

/// "A1b" of "A1b_vit_gap".
std::string label_of(const fs::path& dir) {
  const std::string name = dir.filename().string();
  return name.substr(0, name.find('_'));
}

std::string family_of(std::string label) {
  while (!label.empty() && std::islower(static_cast<unsigned char>(label.back()))) label.pop_back();
  return label;
}

Outcome run_case(const fs::path& dir) {
  const std::string label = label_of(dir);
  auto family = families().find(label);
  if (family == families().end()) family = families().find(family_of(label));
  if (family == families().end()) return {false, "family " + family_of(label) + " is not in this version"};
  try {
    Outcome outcome = family->second(dir);
    if (fs::exists(dir / "tokenizer_golden.json")) add_tokenizer(dir, outcome);
    return outcome;
  } catch (const std::exception& error) {
    return {false, error.what()};
  }
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

int run(const fs::path& root, const std::vector<std::string>& only) {
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.is_directory() && fs::exists(entry.path() / "case.json")) cases.push_back(entry.path());
  std::sort(cases.begin(), cases.end());
  size_t passed = 0, failed = 0;
  for (const fs::path& dir : cases) {
    const std::string label = label_of(dir);
    // A family ("B8") or one of its cases ("B8b") may be named.
    const auto named = [&](const std::string& name) { return name == label || name == family_of(label); };
    if (!only.empty() && std::none_of(only.begin(), only.end(), named)) continue;
    const Outcome outcome = run_case(dir);
    (outcome.passed ? passed : failed) += 1;
    std::cout << (outcome.passed ? "pass " : "FAIL ") << dir.filename().string() << "  " << outcome.detail << std::endl;
  }
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string root = "tests/goldens", only;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else if (argument.starts_with("--only=")) {
      only = argument.substr(7);
    } else if (argument.starts_with("-")) {
      std::cerr << "usage: parity [DIR] [--only A1,B2]" << std::endl;
      return argument == "--help" || argument == "-h" ? 0 : 2;
    } else {
      root = argument;
    }
  }
  if (!fs::is_directory(root)) {
    std::cerr << root << ": no such folder" << std::endl;
    return 2;
  }
  return run(root, split(only));
}
