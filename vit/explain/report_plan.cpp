#include "vit/explain/report_plan.h"

#include <algorithm>
#include <utility>

#include "vit/core/check.h"
#include "vit/explain/report_data.h"

namespace vit {

namespace detail {

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
    const bool mean = parts[l] == LayerPart::mean && picture.layers[l].probs.size(0) > 1;
    if (mean || (parts[l] != LayerPart::none && picture.layers[l].mean_of > 1))
      averaged.push_back(picture.layers[l].name);
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

/// What a picture takes without its attention, about: a byte per pixel of a JPEG, four of a PNG, its maps, names.
int64_t estimated_size(const ReportPicture& picture, int64_t side) {
  constexpr int64_t kNames = 8'000, kSmall = 256 * 256;
  const int64_t longer = std::max<int64_t>(1, std::max(picture.picture.height(), picture.picture.width()));
  const double scale = std::min(1.0, static_cast<double>(side) / static_cast<double>(longer));
  const auto pixels =
      static_cast<int64_t>(scale * scale * static_cast<double>(picture.picture.height() * picture.picture.width()));
  int64_t size = kNames + (pixels <= kSmall ? 4 * pixels : pixels);
  for (const ReportMap& map : picture.maps) size += base64_size(map.map.numel());
  return size;
}

/// In place: the mean of a layer's heads for all of them.
void average_heads(ReportLayer& layer) {
  const int64_t heads = layer.probs.size(0), each = layer.probs.numel() / heads;
  if (heads == 1) return;
  Tensor mean = Tensor::zeros({1, layer.probs.size(1), layer.probs.size(2)});
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < each; ++i) mean.f32()[i] += layer.probs.f32()[h * each + i] / static_cast<float>(heads);
  layer.probs = mean;
  layer.mean_of = heads;
  layer.heads.clear();
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

}  // namespace detail

bool add_to_report(Report& report, ReportPicture picture, const ReportOptions& options) {
  using detail::LayerPart;
  constexpr int64_t kPage = 64'000;
  detail::check_picture(picture, report.pictures.size());
  report.pictures.push_back(std::move(picture));
  int64_t room = options.max_bytes - kPage;
  for (const ReportPicture& each : report.pictures) room -= detail::estimated_size(each, options.picture_side);
  const detail::ReportPlan plan = detail::plan_report(report, room);
  const bool fits = room >= 0 && std::all_of(plan.layers.begin(), plan.layers.end(), [](const auto& parts) {
                      return std::find(parts.begin(), parts.end(), LayerPart::none) == parts.end();
                    });
  if (!fits && report.pictures.size() > 1) {
    report.pictures.pop_back();
    ++report.left_out;
    return false;
  }
  for (size_t p = 0; p < plan.layers.size(); ++p)
    for (size_t l = 0; l < plan.layers[p].size(); ++l)
      if (plan.layers[p][l] != LayerPart::heads) detail::average_heads(report.pictures[p].layers[l]);
  return true;
}

}  // namespace vit
