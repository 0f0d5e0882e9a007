#include "tests/parity/caption_metrics_case.h"

#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "captioning/caption_metrics.h"
#include "vit/core/check.h"
#include "vit/io/json.h"

namespace vit {

namespace {

/// golden.json's figures by our names, of all pictures (row 0) and of each.
std::map<std::string, std::vector<double>> read_reference(const JsonObject& golden) {
  std::map<std::string, std::vector<double>> reference;
  const auto append = [&](const std::string& name, const nlohmann::json& corpus, const nlohmann::json& images) {
    std::vector<double>& values = reference[name];
    values.push_back(corpus.get<double>());
    for (const nlohmann::json& value : images) values.push_back(value.get<double>());
  };
  const nlohmann::json& bleu = golden.get_object("BLEU").raw();
  for (size_t n = 0; n < 4; ++n)
    append("bleu" + std::to_string(n + 1), bleu.at("corpus").at(n), bleu.at("per_image").at(n));
  for (const auto& [theirs, ours] : {std::pair{"CIDEr", "cider"}, std::pair{"ROUGE_L", "rouge_l"}}) {
    const nlohmann::json& figure = golden.get_object(theirs).raw();
    append(ours, figure.at("corpus"), figure.at("per_image"));
  }
  return reference;
}

/// The reference's captions are words already.
std::vector<std::string> split_on_spaces(std::string_view caption) {
  std::istringstream text{std::string(caption)};
  return {std::istream_iterator<std::string>(text), {}};
}

}  // namespace

bool CaptionFigure::ok() const { return std::abs(ours - reference) <= limit; }

std::vector<CaptionFigure> run_caption_metrics_golden(const std::filesystem::path& dir) {
  const nlohmann::json case_json = load_json(dir / "case.json"), golden_json = load_json(dir / "golden.json"),
                       captions_json = load_json(dir / "captions.json");
  const double limit = JsonObject(case_json, (dir / "case.json").string()).get_double("tolerance", 1e-9);
  const JsonObject captions(captions_json, (dir / "captions.json").string());
  const JsonObject candidate_lists = captions.get_object("candidates"),
                   reference_lists = captions.get_object("references");
  std::map<int64_t, std::string> order;  // as coco-caption's: by the pictures' numbers
  for (const std::string& id : candidate_lists.keys()) order[std::stoll(id)] = id;
  std::vector<std::string> candidates;
  std::vector<std::vector<std::string>> references;
  for (const auto& [number, id] : order) {
    candidates.push_back(candidate_lists.get_strings(id, {}).at(0));
    references.push_back(reference_lists.get_strings(id, {}));
  }
  const captioning::CaptionMetrics metrics = captioning::caption_metrics(candidates, references, split_on_spaces);

  std::vector<CaptionFigure> figures;
  for (const auto& [name, values] : read_reference(JsonObject(golden_json, (dir / "golden.json").string()))) {
    if (values.size() != candidates.size() + 1)
      fail((dir / "golden.json").string(), ": ", name, " of ", values.size() - 1, " pictures, not ", candidates.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const captioning::CaptionScores& scores = i == 0 ? metrics.corpus : metrics.images[i - 1];
      for (const auto& [ours, value] : scores.figures())
        if (ours == name)
          figures.push_back(
              {(i == 0 ? "" : "picture " + std::to_string(i - 1) + ": ") + name, value, values[i], limit});
    }
  }
  return figures;
}

}  // namespace vit
