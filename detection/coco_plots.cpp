#include "detection/coco_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "vit/core/check.h"
#include "vit/image/plot.h"

namespace detection {

namespace {

constexpr size_t kT = CocoResult::kThresholds, kR = CocoResult::kRecalls;

std::vector<double> recall_points() {
  std::vector<double> points(kR);
  for (size_t r = 0; r < kR; ++r) points[r] = CocoResult::recall_point(r);
  return points;
}

std::vector<double> over_all_thresholds(const CocoResult& result) {
  std::vector<double> mean(kR, 0.0);
  for (size_t t = 0; t < kT; ++t) {
    const std::vector<double> at = result.mean_precision(t);
    if (at.empty()) return {};
    for (size_t r = 0; r < kR; ++r) mean[r] += at[r] / static_cast<double>(kT);
  }
  return mean;
}

}  // namespace

vit::Image plot_precision_recall(const CocoResult& result) {
  const CocoSummary summary = result.summary();
  std::vector<vit::PlotSeries> series;
  const auto add = [&](const std::string& name, const std::vector<double>& precision) {
    if (!precision.empty()) series.push_back({.name = name, .x = recall_points(), .y = precision});
  };
  for (const size_t t : {0, 5, 8}) add(fmt::format("IoU {:.2f}", CocoResult::threshold(t)), result.mean_precision(t));
  add("mean over IoU 0.50 to 0.95", over_all_thresholds(result));
  const std::string title = summary.map < 0.0
                                ? "no objects"
                                : fmt::format("AP {:.1f} %   AP50 {:.1f} %   AP75 {:.1f} %", 100.0 * summary.map,
                                              100.0 * summary.map50, 100.0 * summary.map75);
  return vit::plot_curves({.title = title,
                           .x_label = "recall",
                           .y_label = "precision",
                           .series = series,
                           .y_min = 0.0,
                           .y_max = 1.0,
                           .height = 500,
                           .width = 640});
}

vit::Image plot_class_precision(const CocoResult& result, const std::vector<std::string>& names) {
  vit::check(names.size() == result.categories().size(), "plot_class_precision: ", names.size(), " names of ",
             result.categories().size(), " classes");
  std::vector<size_t> order;
  std::vector<double> precision(names.size());
  for (size_t k = 0; k < names.size(); ++k) {
    precision[k] = result.summary(k).map;
    if (precision[k] >= 0.0) order.push_back(k);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return precision[a] > precision[b]; });
  const size_t classes = order.size();
  if (classes > kMaxBars)
    order.erase(order.begin() + kMaxBars / 2, order.end() - static_cast<std::ptrdiff_t>(kMaxBars / 2));
  vit::BarPlot plot{.title = order.size() == classes ? "AP per class, %"
                                                     : fmt::format("AP per class, %: the best and the worst {} of {}",
                                                                   kMaxBars / 2, classes),
                    .y_label = "AP, %"};
  for (const size_t k : order) {
    plot.names.push_back(names[k]);
    plot.values.push_back(100.0 * precision[k]);
  }
  return vit::plot_bars(plot);
}

}  // namespace detection
