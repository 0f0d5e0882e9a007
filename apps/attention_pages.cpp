#include "apps/attention_pages.h"

#include <algorithm>
#include <array>
#include <utility>

#include "vit/explain/roles.h"
#include "vit/explain/token_flow.h"
#include "vit/image/cell_map.h"

namespace apps {

namespace {

using vit::Tensor;

Tensor mean_of_heads(const Tensor& probs) {
  return vit::fused_heads(probs, {}, vit::HeadFusion::mean).view({1, probs.size(1), probs.size(2)});
}

/// Head by head what the subject's tokens read of the grid: [H, rows, columns].
Tensor rows_of_heads(const vit::Subject& subject, const vit::RecordedAttention& layer) {
  const int64_t heads = layer.probs.size(0), each = layer.layout.cells();
  Tensor rows = Tensor::empty({heads, layer.layout.rows, layer.layout.columns});
  for (int64_t h = 0; h < heads; ++h) {
    const Tensor matrix = layer.probs.slice(h, h + 1).view({layer.probs.size(1), layer.probs.size(2)});
    const Tensor cells = vit::read_row(subject, {.module = layer.module, .layout = layer.layout, .probs = matrix});
    std::copy_n(cells.f32(), each, rows.f32() + h * each);
  }
  return rows;
}

std::vector<std::string> numbered(const std::string& word, int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(word + " " + std::to_string(i));
  return names;
}

/// Names of prefix tokens as far as they are known.
std::vector<std::string> prefix_names(int64_t count) {
  if (count == 0) return {};
  std::vector<std::string> names = numbered("prefix token", count);
  names.front() = "class token";
  return names;
}

vit::ReportTokens grid_tokens(const vit::TokenLayout& layout, int64_t tokens, const vit::CellWindow& window,
                              const std::vector<std::string>& query_names) {
  vit::ReportTokens result{
      .before = prefix_names(layout.prefix), .rows = layout.rows, .columns = layout.columns, .window = window};
  const int64_t rest = tokens - layout.prefix - layout.cells();
  result.after = rest == static_cast<int64_t>(query_names.size()) ? query_names : numbered("token", rest);
  return result;
}

constexpr const char *kLocations = ".sampling_locations", *kWeights = ".sampling_weights";

/// The points of all layers that have some: locations [B, T, H, S, 2] and weights [B, T, H * S].
class PointRecorder : public vit::Observer {
 public:
  struct Points {
    Tensor locations{}, weights{};
  };

  explicit PointRecorder(std::vector<std::string> modules) : modules_(std::move(modules)), points_(modules_.size()) {}

  bool wants(const std::string& name) override { return place(name) < modules_.size(); }
  void observe(const std::string& name, const Tensor& value) override {
    if (!wants(name)) return;
    Points& points = points_[place(name)];
    (name.ends_with(kLocations) ? points.locations : points.weights) = value.clone();
  }
  const std::vector<std::string>& modules() const { return modules_; }
  const Points& points(size_t layer) const { return points_[layer]; }

 private:
  size_t place(const std::string& name) const {
    for (size_t i = 0; i < modules_.size(); ++i)
      if (name == modules_[i] + kLocations || name == modules_[i] + kWeights) return i;
    return modules_.size();
  }

  std::vector<std::string> modules_;
  std::vector<Points> points_;
};

/// The points of every query on a grid, [H, T, rows * columns]; the mean over heads where that is a lot.
Tensor points_on_grid(const PointRecorder::Points& points, const vit::Extent& grid) {
  constexpr int64_t kMostElements = int64_t{1} << 24;
  const int64_t all = points.locations.size(2), queries = points.locations.size(1), cells = grid.height * grid.width;
  const int64_t heads = all * queries * cells <= kMostElements ? all : 1;
  Tensor probs = Tensor::empty({heads, queries, cells});
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t q = 0; q < queries; ++q) {
      const std::array<int64_t, 2> range{heads == 1 ? 0 : h, heads == 1 ? all : h + 1};
      const Tensor row = vit::cells_of_points(points.locations, points.weights, q, range, grid);
      std::copy_n(row.f32(), cells, probs.f32() + (h * queries + q) * cells);
    }
  return probs;
}

}  // namespace

std::vector<vit::RecordedAttention> record_attention(const vit::Subject& subject, const Tensor& pixels,
                                                     int64_t most_elements) {
  if (!subject.attention_refusal().empty()) return {};
  vit::AttentionRecorder recorder(
      subject,
      {.wants = [&](const std::string& module) { return subject.role_of(module) != vit::AttentionRole::queries; },
       .reduce =
           [&](const Tensor& probs) {
             if (probs.numel() <= most_elements) return probs;
             return probs.size(1) * probs.size(2) <= most_elements ? mean_of_heads(probs) : Tensor();
           }});
  vit::Context ctx;
  ctx.observer = &recorder;
  static_cast<void>(subject.objective(ctx, pixels));
  std::vector<vit::RecordedAttention> layers;
  for (const vit::RecordedAttention& layer : recorder.layers()) {
    const bool fits = layer.probs.defined() && layer.layout.cells() > 0 &&
                      layer.layout.prefix + layer.layout.cells() <= layer.probs.size(2);
    if (fits) layers.push_back(layer);
  }
  return layers;
}

std::vector<vit::SheetLayer> sheet_layers(const vit::Subject& subject,
                                          const std::vector<vit::RecordedAttention>& layers,
                                          const vit::Preprocessor& preprocessor, const vit::Extent& source) {
  std::vector<vit::SheetLayer> sheet;
  const bool has_queries = std::any_of(layers.begin(), layers.end(), [&](const vit::RecordedAttention& layer) {
    return subject.role_of(layer.module) == vit::AttentionRole::cross && !layer.module.ends_with("attn_pool");
  });
  for (const vit::RecordedAttention& layer : layers) {
    // What queries ask is read from their layers alone.
    if (has_queries && subject.role_of(layer.module) != vit::AttentionRole::cross) continue;
    sheet.push_back({.name = layer.module,
                     .cells = rows_of_heads(subject, layer),
                     .window = vit::cell_window(preprocessor, source, {layer.layout.rows, layer.layout.columns})});
  }
  return sheet;
}

std::vector<vit::ReportLayer> report_layers(const vit::Subject& subject,
                                            const std::vector<vit::RecordedAttention>& layers,
                                            const std::vector<std::string>& query_names,
                                            const vit::Preprocessor& preprocessor, const vit::Extent& source) {
  std::vector<vit::ReportLayer> pages;
  for (const vit::RecordedAttention& layer : layers) {
    const int64_t asking = layer.probs.size(1), tokens = layer.probs.size(2);
    const vit::CellWindow window = vit::cell_window(preprocessor, source, {layer.layout.rows, layer.layout.columns});
    vit::ReportLayer page{.name = layer.module, .probs = layer.probs};
    page.keys = grid_tokens(layer.layout, tokens, window, query_names);
    if (subject.role_of(layer.module) == vit::AttentionRole::cross)
      page.queries.before =
          asking == static_cast<int64_t>(query_names.size()) ? query_names : numbered("query", asking);
    else if (asking == tokens)
      page.queries = page.keys;
    else  // the first tokens alone ask, as class attention has it
      page.queries.before = prefix_names(asking);
    pages.push_back(std::move(page));
  }
  return pages;
}

std::vector<vit::ReportLayer> point_layers(const vit::Subject& subject, const Tensor& pixels,
                                           const std::vector<std::string>& query_names,
                                           const vit::Preprocessor& preprocessor, const vit::Extent& source) {
  PointRecorder recorder(vit::modules_offering(subject, kLocations));
  if (recorder.modules().empty()) return {};
  vit::Context ctx;
  ctx.observer = &recorder;
  static_cast<void>(subject.objective(ctx, pixels));
  const vit::Extent grid = vit::point_grid({pixels.size(2), pixels.size(3)});
  std::vector<vit::ReportLayer> pages;
  for (size_t layer = 0; layer < recorder.modules().size(); ++layer) {
    const PointRecorder::Points& points = recorder.points(layer);
    const bool named = points.locations.defined() && points.weights.defined() &&
                       points.locations.size(1) == static_cast<int64_t>(query_names.size());
    if (!named) continue;
    vit::ReportLayer page{.name = recorder.modules()[layer],
                          .queries = {.before = query_names},
                          .keys = {.rows = grid.height, .columns = grid.width},
                          .probs = points_on_grid(points, grid)};
    if (page.probs.size(0) == 1) page.mean_of = points.locations.size(2);
    page.keys.window = vit::cell_window(preprocessor, source, grid);
    page.note = "Points that deformable attention chose, each shared by the four cells around it.";
    pages.push_back(std::move(page));
  }
  return pages;
}

}  // namespace apps
