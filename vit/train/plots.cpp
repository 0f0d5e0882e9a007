#include "vit/train/plots.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/image/encode.h"
#include "vit/image/plot.h"

namespace vit {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxLogBytes = int64_t{4} << 30;
constexpr const char* kAttention = "attention/";

/// The values of one name over the run.
struct Curve {
  std::string name;
  PlotSeries updates;  ///< x: update; from the lines within epochs
  PlotSeries epochs;   ///< x: epochs done
};

/// Everything in metrics.jsonl, by name, in the order of first appearance.
class History {
 public:
  explicit History(const fs::path& path) {
    const std::string text = read_file(path, kMaxLogBytes, ErrorKind::kFailure);
    int64_t line = 0;
    for (size_t begin = 0; begin < text.size(); ++line) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const auto row = nlohmann::ordered_json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                                     text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      check(row.is_object() && has_number(row, "epoch") && has_number(row, "step"), path.string(), ":", line + 1,
            ": expected an object with epoch and step");
      add(row);
      begin = end + 1;
    }
  }

  const std::vector<Curve>& curves() const { return curves_; }
  const Curve* find(const std::string& name) const {
    const auto found = std::find_if(curves_.begin(), curves_.end(), [&](const Curve& c) { return c.name == name; });
    return found == curves_.end() ? nullptr : &*found;
  }
  /// 0 before the end of the first epoch.
  double updates_per_epoch() const { return updates_per_epoch_; }

 private:
  static bool has_number(const nlohmann::ordered_json& row, const char* key) {
    return row.contains(key) && row.at(key).is_number();
  }
  void add(const nlohmann::ordered_json& row) {
    // Only lines within an epoch have the norm of the gradients.
    const bool within = row.contains("grad_norm");
    const double epochs = row.at("epoch").get<double>() + 1.0, step = row.at("step").get<double>();
    if (!within) updates_per_epoch_ = step / epochs;
    for (const auto& [name, value] : row.items()) {
      if (name == "epoch" || name == "step" || !value.is_number()) continue;
      Curve& curve = curve_of(name);
      PlotSeries& series = within ? curve.updates : curve.epochs;
      series.x.push_back(within ? step : epochs);
      series.y.push_back(value.get<double>());
    }
  }
  Curve& curve_of(const std::string& name) {
    const auto found = index_.emplace(name, curves_.size()).first;
    if (found->second == curves_.size()) curves_.push_back({name, {}, {}});
    return curves_[found->second];
  }
  std::vector<Curve> curves_;
  std::map<std::string, size_t> index_;
  double updates_per_epoch_ = 0.0;
};

PlotSeries renamed(PlotSeries series, const std::string& name) {
  series.name = name;
  return series;
}

/// Collects the pictures of one folder.
class Plots {
 public:
  explicit Plots(fs::path folder) : folder_(std::move(folder)) {}

  void draw(const std::string& name, const std::string& title, const std::string& y_label,
            std::vector<PlotSeries> series, std::optional<double> y_min = {}) {
    if (series.empty()) return;
    CurvePlot plot{.title = title, .x_label = "epochs", .y_label = y_label, .series = std::move(series)};
    plot.y_min = y_min;
    std::error_code error;
    fs::create_directories(folder_, error);
    check(!error, "cannot make the folder ", folder_.string(), ": ", error.message());
    files_.push_back(name + ".png");
    save_image(folder_ / files_.back(), plot_curves(plot));
  }
  const std::vector<std::string>& files() const { return files_; }

 private:
  fs::path folder_;
  std::vector<std::string> files_;
};

void draw_loss(Plots& plots, const History& history) {
  std::vector<PlotSeries> series;
  for (const auto& [name, label] : {std::pair{"loss", "training"}, std::pair{"val_loss", "validation"}})
    if (const Curve* curve = history.find(name); curve && !curve->epochs.x.empty())
      series.push_back(renamed(curve->epochs, label));
  plots.draw("loss", "loss", "mean of an epoch", std::move(series));
}

/// Figures of evaluations that belong into one picture.
struct FigureGroup {
  const char *file, *title;
  bool is_fraction;  ///< drawn in percent; below zero stands for "cannot be said" and is left out
  std::vector<std::string> figures;
};

const std::vector<FigureGroup>& figure_groups() {
  static const std::vector<FigureGroup> groups = {
      {"accuracy", "accuracy on the validation data", true, {"top1", "top5"}},
      {"average_precision", "average precision on the validation data", true, {"map", "map50", "map75"}},
      {"average_precision_by_size",
       "average precision by the objects' size",
       true,
       {"map_small", "map_medium", "map_large"}},
      {"average_recall", "average recall with 1, 10 and 100 detections", true, {"mar1", "mar10", "mar100"}},
      {"average_recall_by_size", "average recall by the objects' size", true, {"mar_small", "mar_medium", "mar_large"}},
      {"loss_parts",
       "parts of the loss on the validation data, unweighted",
       false,
       {"loss_ce", "loss_vfl", "loss_bbox", "loss_giou"}}};
  return groups;
}

/// In percent, without what cannot be said.
PlotSeries percent_of(const PlotSeries& fractions, const std::string& name) {
  PlotSeries series;
  series.name = name;
  for (size_t i = 0; i < fractions.x.size(); ++i) {
    if (fractions.y[i] < 0.0) continue;
    series.x.push_back(fractions.x[i]);
    series.y.push_back(100.0 * fractions.y[i]);
  }
  return series;
}

void draw_group(Plots& plots, const History& history, const FigureGroup& group) {
  std::vector<PlotSeries> series;
  for (const std::string& name : group.figures) {
    const Curve* curve = history.find(name);
    if (!curve) continue;
    PlotSeries drawn = group.is_fraction ? percent_of(curve->epochs, name) : renamed(curve->epochs, name);
    if (!drawn.x.empty()) series.push_back(std::move(drawn));
  }
  plots.draw(group.file, group.title, group.is_fraction ? "percent" : "", std::move(series));
}

bool is_grouped(const std::string& figure) {
  return std::any_of(figure_groups().begin(), figure_groups().end(), [&](const FigureGroup& group) {
    return std::find(group.figures.begin(), group.figures.end(), figure) != group.figures.end();
  });
}

/// The lines within epochs show the warm-up; a run that has none of them has its epochs' ends.
void draw_lr(Plots& plots, const History& history) {
  const Curve* curve = history.find("lr");
  if (!curve) return;
  PlotSeries rate = curve->updates;
  for (double& x : rate.x) x /= history.updates_per_epoch();
  plots.draw("lr", "learning rate", "", {renamed(rate.x.size() > curve->epochs.x.size() ? rate : curve->epochs, "lr")});
}

/// What else evaluations measure, a picture each.
void draw_other_figures(Plots& plots, const History& history) {
  for (const Curve& curve : history.curves()) {
    const auto is = [&](const char* name) { return curve.name == name; };
    if (curve.epochs.x.empty() || curve.name.starts_with(kAttention)) continue;
    if (is("loss") || is("val_loss") || is("lr") || is_grouped(curve.name)) continue;
    std::string file;
    for (const char c : curve.name) file += std::isalnum(static_cast<unsigned char>(c)) || c == '-' ? c : '_';
    plots.draw(file, curve.name, "", {renamed(curve.epochs, curve.name)});
  }
}

/// One figure of all layers: "attention/blocks.3/entropy".
void draw_attention(Plots& plots, const History& history, const std::string& figure, const std::string& title,
                    const std::string& y_label, std::optional<double> y_min = {}) {
  std::vector<PlotSeries> series;
  for (const Curve& curve : history.curves()) {
    if (!curve.name.starts_with(kAttention) || !curve.name.ends_with("/" + figure)) continue;
    const std::string layer =
        curve.name.substr(std::string_view(kAttention).size(),
                          curve.name.size() - std::string_view(kAttention).size() - figure.size() - 1);
    if (layer.find('/') == std::string::npos) series.push_back(renamed(curve.epochs, layer));
  }
  plots.draw("attention_" + figure, title, y_label, std::move(series), y_min);
}

}  // namespace

std::vector<std::string> write_plots(const fs::path& metrics, const fs::path& plots) {
  const History history(metrics);
  if (history.updates_per_epoch() <= 0.0) return {};
  Plots pictures(plots);
  draw_loss(pictures, history);
  for (const FigureGroup& group : figure_groups()) draw_group(pictures, history, group);
  draw_lr(pictures, history);
  draw_other_figures(pictures, history);
  draw_attention(pictures, history, "entropy", "entropy of the attention, mean of a layer's heads", "nats", 0.0);
  draw_attention(pictures, history, "distance", "mean attention distance, mean of a layer's heads", "patches", 0.0);
  draw_attention(pictures, history, "max_logit", "largest attention logit of a layer", "");
  return pictures.files();
}

}  // namespace vit
