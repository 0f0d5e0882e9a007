#include "tests/parity/coco_case.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "detection/coco_eval.h"
#include "detection/coco_json.h"
#include "vit/io/json.h"

namespace vit {

namespace {

/// Of golden.json's "stats", in the order of CocoSummary::figures().
constexpr std::array<const char*, detection::CocoSummary::kCount> kNames = {
    "AP",   "AP50",  "AP75",   "AP_small", "AP_medium", "AP_large",
    "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"};

}  // namespace

bool CocoFigure::ok() const { return std::abs(ours - reference) <= limit; }

std::vector<CocoFigure> run_coco_golden(const std::filesystem::path& dir) {
  const nlohmann::json case_json = load_json(dir / "case.json"), golden_json = load_json(dir / "golden.json");
  const double limit = JsonObject(case_json, (dir / "case.json").string()).get_double("tolerance", 1e-9);
  const JsonObject golden(golden_json, (dir / "golden.json").string());
  const detection::CocoResult result =
      detection::evaluate_coco(detection::read_coco_truth(dir / "annotations.json").truth,
                               detection::read_coco_detections(dir / "detections.json"));

  std::vector<CocoFigure> figures;
  const auto ours = result.summary().figures();
  for (size_t i = 0; i < kNames.size(); ++i)
    figures.push_back({kNames[i], ours[i].second, golden.get_object("stats").require_double(kNames[i]), limit});
  const JsonObject classes = golden.get_object("per_category");
  for (const std::string& id : classes.keys()) {
    const auto& ids = result.categories();
    const auto found = std::find(ids.begin(), ids.end(), std::stoll(id));
    if (found == ids.end()) classes.refuse(id, "a category of annotations.json");
    const auto summary = result.summary(static_cast<size_t>(found - ids.begin()));
    const JsonObject reference = classes.get_object(id);
    figures.push_back({"category " + id + ": AP", summary.map, reference.require_double("AP"), limit});
    figures.push_back({"category " + id + ": AP50", summary.map50, reference.require_double("AP50"), limit});
  }
  return figures;
}

}  // namespace vit
