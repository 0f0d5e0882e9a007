#include "detection/attention_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>

#include "detection/annotate.h"
#include "detection/detector.h"
#include "vit/image/cell_map.h"
#include "vit/image/color_map.h"

namespace detection {

using vit::Tensor;

namespace {

/// Keeps what the names say.
class Keeper : public vit::Observer {
 public:
  explicit Keeper(const std::vector<std::string>& names) {
    for (const std::string& name : names) seen_[name];
  }
  bool wants(const std::string& name) override { return seen_.count(name) > 0; }
  void observe(const std::string& name, const Tensor& value) override {
    if (wants(name)) seen_[name] = value.clone();
  }
  /// Errors (usage): the model did not offer it.
  const Tensor& get(const std::string& name) const {
    const Tensor& value = seen_.at(name);
    if (!value.defined()) vit::fail_usage("the model's attention offers no '", name, "' to look at");
    return value;
  }

 private:
  std::map<std::string, Tensor> seen_;
};

/// What a query's row of probabilities [1, H, N, M] gives the cells of the grid; `layout` as observe_layout() has it.
Tensor cells_of_probs(const Tensor& probs, const Tensor& layout, int64_t row, std::array<int64_t, 2> heads) {
  const auto at = [&](int64_t i) { return std::llround(layout.f32()[i]); };
  const int64_t prefix = at(0), rows = probs.size(2), columns = probs.size(3);
  Tensor cells = Tensor::zeros({at(1), at(2)});
  vit::check(prefix + cells.numel() <= columns, "attention map: ", columns, " keys do not hold a grid of ", at(1),
             " x ", at(2));
  for (int64_t h = heads[0]; h < heads[1]; ++h) {
    const float* from = probs.f32() + (h * rows + row) * columns + prefix;
    for (int64_t i = 0; i < cells.numel(); ++i) cells.f32()[i] += from[i] / static_cast<float>(heads[1] - heads[0]);
  }
  return cells;
}

/// Runs the model on one picture for an observer; returns the padded extents and the picture's within them.
std::array<vit::Extent, 2> run_observed(const Detector& detector, const vit::Image& picture, Keeper& keeper) {
  const vit::PixelBatch batch = detector.prepare({picture});
  vit::Context ctx;
  ctx.observer = &keeper;
  detector.run(ctx, batch);
  const vit::Extent size = batch.sizes.front();
  // A model that reads no mask is run without its padding.
  const vit::Extent whole{batch.pixel_values.size(2), batch.pixel_values.size(3)};
  return {detector.model().reads_mask() ? whole : size, size};
}

}  // namespace

int64_t require_attention(const DetectionModel& model, const AttentionMapOptions& options) {
  return vit::wanted_layer(options.layer, model.attention_layers());
}

std::vector<AttentionMap> attention_maps(const Detector& detector, const vit::Image& picture,
                                         const std::vector<Detection>& detections, const AttentionMapOptions& options) {
  const DetectionModel& model = detector.model();
  const int64_t layer = require_attention(model, options);
  if (detections.empty()) return {};
  const QueryAttention names = model.query_attention(layer);
  const std::string probs = names.module + ".probs", locations = names.module + ".sampling_locations",
                    weights = names.module + ".sampling_weights";
  Keeper keeper(names.sampled ? std::vector<std::string>{locations, weights}
                              : std::vector<std::string>{probs, names.layout});
  const auto [whole, size] = run_observed(detector, picture, keeper);
  std::vector<AttentionMap> maps;
  for (const Detection& detection : detections) {
    AttentionMap map;
    map.sampled = names.sampled;
    if (names.sampled) {
      const Tensor& places = keeper.get(locations);
      map.cells = vit::cells_of_points(places, keeper.get(weights), detection.query,
                                       vit::wanted_heads(options.head, places.size(2)), vit::point_grid(whole));
    } else {
      const Tensor& all = keeper.get(probs);
      map.cells = cells_of_probs(all, keeper.get(names.layout), all.size(2) - model.num_queries() + detection.query,
                                 vit::wanted_heads(options.head, all.size(1)));
    }
    map.rows =
        static_cast<double>(map.cells.size(0)) * static_cast<double>(size.height) / static_cast<double>(whole.height);
    map.columns =
        static_cast<double>(map.cells.size(1)) * static_cast<double>(size.width) / static_cast<double>(whole.width);
    maps.push_back(std::move(map));
  }
  return maps;
}

Tensor map_on_picture(const AttentionMap& map, vit::Extent size) {
  const vit::CellWindow window{.rows = map.rows, .columns = map.columns};
  Tensor heat = vit::cells_on_picture(map.sampled ? vit::smoothed_cells(map.cells) : map.cells, window, size);
  vit::scale_to_largest(heat);
  return heat;
}

vit::Image draw_attention(const vit::Image& picture, const AttentionMap& map, const Detection& detection,
                          const vit::ClassLabels& labels) {
  vit::check(picture.defined(), "draw_attention: there is no picture");
  constexpr double kLeast = 0.35, kMost = 0.85;  // of the colours' opacity: the picture stays visible
  const Tensor heat = map_on_picture(map, {picture.height(), picture.width()});
  vit::Image drawn(picture.height(), picture.width());
  for (int64_t i = 0; i < heat.numel(); ++i) {
    const double share = heat.f32()[i], opacity = kLeast + (kMost - kLeast) * share;
    const vit::Color color = vit::viridis(share);
    const std::array<uint8_t, 3> channels{color.r, color.g, color.b};
    for (size_t c = 0; c < 3; ++c) {
      const int64_t at = 3 * i + static_cast<int64_t>(c);
      const double before = picture.pixels.data<uint8_t>()[at];
      drawn.pixels.data<uint8_t>()[at] =
          static_cast<uint8_t>(std::lround(before + opacity * (static_cast<double>(channels[c]) - before)));
    }
  }
  return annotate(drawn, {{.detection = detection}}, labels);
}

}  // namespace detection
