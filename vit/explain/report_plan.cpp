#include "vit/explain/report_plan.h"

#include <algorithm>

#include "vit/core/check.h"

namespace vit::detail {

namespace {

/// One layer of one picture, with what it takes.
struct Candidate {
  size_t picture = 0, layer = 0;
  int64_t size = 0;
};

/// All layers that are kept as `part`, the largest first, of equal ones the earliest.
std::vector<Candidate> largest_first(const Report& report, const ReportPlan& plan, LayerPart part) {
  std::vector<Candidate> found;
  for (size_t p = 0; p < report.pictures.size(); ++p)
    for (size_t l = 0; l < report.pictures[p].layers.size(); ++l)
      if (plan.layers[p][l] == part) found.push_back({p, l, layer_size(report.pictures[p].layers[l], part)});
  std::stable_sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
    return a.size != b.size ? a.size > b.size : a.layer < b.layer;
  });
  return found;
}

std::vector<std::string> notes_of(const ReportPicture& picture, const std::vector<LayerPart>& parts) {
  std::vector<std::string> averaged, missing;
  for (size_t l = 0; l < parts.size(); ++l) {
    if (parts[l] == LayerPart::mean && picture.layers[l].probs.size(0) > 1) averaged.push_back(picture.layers[l].name);
    if (parts[l] == LayerPart::none) missing.push_back(picture.layers[l].name);
  }
  const auto listed = [](const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
  };
  std::vector<std::string> notes;
  const std::string prefix = picture.name.empty() ? "" : picture.name + ": ";
  if (!averaged.empty())
    notes.push_back(
        str(prefix, "to keep the file small, these layers have the mean of their heads only: ", listed(averaged), "."));
  if (!missing.empty())
    notes.push_back(str(prefix, "to keep the file small, these layers are left out: ", listed(missing), "."));
  return notes;
}

}  // namespace

int64_t base64_size(int64_t bytes) { return (bytes + 2) / 3 * 4; }

int64_t layer_size(const ReportLayer& layer, LayerPart part) {
  if (part == LayerPart::none) return 0;
  const int64_t heads = part == LayerPart::mean ? 1 : layer.probs.size(0), rows = heads * layer.probs.size(1);
  return base64_size(rows * layer.probs.size(2)) + base64_size(rows * static_cast<int64_t>(sizeof(float)));
}

ReportPlan plan_report(const Report& report, int64_t budget) {
  ReportPlan plan;
  int64_t total = 0;
  for (const ReportPicture& picture : report.pictures) {
    plan.layers.emplace_back(picture.layers.size(), LayerPart::heads);
    for (const ReportLayer& layer : picture.layers) total += layer_size(layer, LayerPart::heads);
  }
  const auto shrink = [&](LayerPart from, LayerPart to) {
    for (const Candidate& candidate : largest_first(report, plan, from)) {
      if (total <= budget) return;
      plan.layers[candidate.picture][candidate.layer] = to;
      total += layer_size(report.pictures[candidate.picture].layers[candidate.layer], to) - candidate.size;
    }
  };
  shrink(LayerPart::heads, LayerPart::mean);
  shrink(LayerPart::mean, LayerPart::none);
  for (size_t p = 0; p < report.pictures.size(); ++p)
    plan.notes.push_back(notes_of(report.pictures[p], plan.layers[p]));
  return plan;
}

}  // namespace vit::detail
