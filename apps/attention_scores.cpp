#include "apps/attention_scores.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "datasets/scenes.h"
#include "vit/core/check.h"
#include "vit/core/rng.h"
#include "vit/image/canvas.h"
#include "vit/image/plot.h"
#include "vit/nn/attention.h"

namespace apps {

namespace {

constexpr int64_t kSide = 8, kPatch = 8, kDim = 64, kHeads = 4;
constexpr uint64_t kSceneSeed = 7;
constexpr int64_t kSceneIndex = 3;

/// Keeps what a mechanism offers under the names that can be drawn.
class Offered : public vit::Observer {
 public:
  bool wants(const std::string& name) override {
    return name == "probs" || name == "channel_probs" || name == "row_probs" || name == "column_probs";
  }
  void observe(const std::string& name, const vit::Tensor& value) override { values_[name] = value.clone(); }
  vit::Tensor find(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? vit::Tensor() : found->second;
  }

 private:
  std::map<std::string, vit::Tensor> values_;
};

/// Zero mean, unit variance.
void normalise(float* row, int64_t count) {
  double sum = 0.0, squares = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += row[i];
  const double mean = sum / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) squares += (row[i] - mean) * (row[i] - mean);
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(count) + 1e-6);
  for (int64_t i = 0; i < count; ++i) row[i] = static_cast<float>((row[i] - mean) * scale);
}

/// Random weights of the size that keeps the scale of what they are multiplied with, so that scores spread; constants
/// stay what the mechanism begins with.
void fill(vit::Attention& attention, uint64_t seed) {
  attention.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    vit::Tensor value = vit::Tensor::full(parameter.shape, parameter.init.value);
    const bool constant =
        parameter.init.kind == vit::Init::Kind::zeros || parameter.init.kind == vit::Init::Kind::constant;
    if (!constant) {
      vit::Rng rng(seed, vit::Rng::stream_of(name));
      const int64_t inputs = parameter.shape.rank() > 1 ? parameter.shape.numel() / parameter.shape[0] : 1;
      vit::fill_normal(value, rng, 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(1, inputs))));
    }
    parameter.value = value;
  });
}

/// The scene's patches, each a random projection of its pixels and as long as a layer norm makes it: [1, N, C] with
/// `prefix` rows of noise in front. Patches that look alike have tokens that are.
vit::Tensor tokens_of(const vit::Image& scene, int64_t prefix, uint64_t seed) {
  constexpr int64_t kPixels = kPatch * kPatch * 3;
  vit::Tensor projection = vit::Tensor::empty({kDim, kPixels});
  vit::Rng rng(seed, vit::Rng::stream_of("attention_scores.projection"));
  vit::fill_normal(projection, rng, 1.0f / std::sqrt(static_cast<float>(kPixels)));
  vit::Tensor tokens = vit::Tensor::empty({1, prefix + kSide * kSide, kDim});
  vit::fill_normal(tokens, rng, 1.0f);
  for (int64_t n = 0; n < kSide * kSide; ++n) {
    float* token = tokens.f32() + (prefix + n) * kDim;
    for (int64_t c = 0; c < kDim; ++c) {
      double sum = 0.0;
      const float* weights = projection.f32() + c * kPixels;
      for (int64_t y = 0; y < kPatch; ++y) {
        const uint8_t* row = scene.row(n / kSide * kPatch + y) + n % kSide * kPatch * 3;
        for (int64_t i = 0; i < kPatch * 3; ++i)
          sum += static_cast<double>(*weights++) * (static_cast<double>(row[i]) / 127.5 - 1.0);
      }
      token[c] = static_cast<float>(sum);
    }
    normalise(token, kDim);
  }
  return tokens;
}

/// The scene as its patches' mean colours: about what the tokens know of it.
vit::Image mosaic_of(const vit::Image& scene, int64_t cell) {
  vit::Canvas canvas(kSide * cell, kSide * cell, vit::kWhite);
  for (int64_t n = 0; n < kSide * kSide; ++n) {
    int64_t sums[3] = {0, 0, 0};
    for (int64_t y = 0; y < kPatch; ++y) {
      const uint8_t* row = scene.row(n / kSide * kPatch + y) + n % kSide * kPatch * 3;
      for (int64_t i = 0; i < kPatch * 3; ++i) sums[i % 3] += row[i];
    }
    const auto mean = [&](int64_t i) { return static_cast<uint8_t>(sums[i] / (kPatch * kPatch)); };
    const auto x = static_cast<float>(n % kSide * cell), y = static_cast<float>(n / kSide * cell);
    canvas.rectangle(x, y, x + static_cast<float>(cell), y + static_cast<float>(cell), {mean(0), mean(1), mean(2)});
  }
  return canvas.image();
}

/// Pictures on white paper, each with its upper left corner.
struct Placed {
  vit::Image picture;
  int64_t x = 0, y = 0;
};
vit::Image compose(const std::vector<Placed>& pictures) {
  int64_t height = 0, width = 0;
  for (const Placed& placed : pictures) {
    height = std::max(height, placed.y + placed.picture.height());
    width = std::max(width, placed.x + placed.picture.width());
  }
  vit::Canvas canvas(height, width, vit::kWhite);
  for (const Placed& placed : pictures) canvas.blit(placed.picture, placed.x, placed.y);
  return canvas.image();
}

/// One query's row of the matrix, on the grid of its keys.
vit::Image query_map(const float* row, int64_t keys, int64_t prefix, int64_t y, int64_t x, const std::string& title) {
  vit::HeatMap map{.title = title};
  const bool on_grid = keys == prefix + kSide * kSide;
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(keys))));
  map.rows = on_grid ? kSide : side * side == keys ? side : 1;
  map.columns = on_grid ? kSide : keys / map.rows;
  map.values.assign(row + (on_grid ? prefix : 0), row + keys);
  map.cell = 144 / std::max(map.rows, map.columns);
  if (on_grid && y >= 0) map.marked = {{y, x}};
  return vit::plot_heat_map(map);
}

/// probs [1, H, N, M]: the first head's matrix, the scene, and the keys of three queries.
vit::Image draw_matrix(const vit::Tensor& probs, const vit::Image& scene, int64_t prefix) {
  const int64_t queries = probs.size(2), keys = probs.size(3);
  vit::HeatMap matrix{.title = "probabilities, first head", .x_label = "keys", .y_label = "queries"};
  matrix.rows = queries;
  matrix.columns = keys;
  matrix.values.assign(probs.f32(), probs.f32() + queries * keys);
  std::vector<Placed> pictures;
  if (queries > 1) pictures.push_back({vit::plot_heat_map(matrix), 0, 0});  // a single row is drawn on the grid
  const int64_t left = pictures.empty() ? 0 : pictures[0].picture.width() + 8;
  pictures.push_back({mosaic_of(scene, 18), left + 8, 26});
  const std::array<std::array<int64_t, 2>, 3> asked = {{{2, 2}, {4, 5}, {7, 0}}};
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto [y, x] = asked[i];
    const bool on_grid = queries == prefix + kSide * kSide;
    const int64_t query = on_grid ? prefix + y * kSide + x : static_cast<int64_t>(i);
    if (query >= queries) break;
    const std::string title = on_grid ? vit::str("query ", y, ", ", x) : vit::str("query ", query);
    const vit::Image map = query_map(probs.f32() + query * keys, keys, prefix, on_grid ? y : -1, x, title);
    const auto place = static_cast<int64_t>(i) + 1;
    pictures.push_back({map, left + place % 2 * 236, place / 2 * 178});
  }
  return compose(pictures);
}

const vit::AttentionTraits& traits_of(const vit::ConfigNode& mechanism) {
  return vit::attention_registry().find(vit::split_type(mechanism).type).traits;
}
int64_t prefix_of(const vit::AttentionTraits& traits) { return traits.needs_prefix ? 1 : 0; }

/// Matrices [1, groups, b, b] that mix blocks of rows and of columns: the first group's.
vit::Image draw_block_matrices(const vit::Tensor& rows, const vit::Tensor& columns) {
  std::vector<Placed> pictures;
  for (const auto& [probs, what] : {std::pair{&rows, "rows"}, std::pair{&columns, "columns"}}) {
    vit::HeatMap map{.title = vit::str("blocks of ", what)};
    map.rows = probs->size(2);
    map.columns = probs->size(3);
    map.values.assign(probs->f32(), probs->f32() + map.rows * map.columns);
    map.cell = 160 / std::max(map.rows, map.columns);
    const int64_t left = pictures.empty() ? 0 : pictures[0].picture.width() + 16;
    pictures.push_back({vit::plot_heat_map(map), left, 0});
  }
  return compose(pictures);
}

/// Factors of the channels [1, ..., C], or matrices between channels [1, H, D, D]: the first head's.
vit::Image draw_channels(const vit::Tensor& probs) {
  const int64_t columns = probs.size(probs.rank() - 1);
  const int64_t before = probs.rank() > 2 ? probs.size(probs.rank() - 2) : 1;
  vit::HeatMap map{.title = before > 1 ? "channels, first head" : "factors of the channels",
                   .x_label = before > 1 ? "channels looked at" : "channels",
                   .y_label = before > 1 ? "channels" : ""};
  map.rows = before > 1 ? before : std::max<int64_t>(1, columns / 16);
  map.columns = before > 1 ? columns : columns / map.rows;
  map.values.assign(probs.f32(), probs.f32() + map.rows * map.columns);
  return vit::plot_heat_map(map);
}

}  // namespace

std::unique_ptr<vit::Attention> build_for_picture(const vit::ConfigNode& mechanism) {
  const vit::AttentionTraits& traits = traits_of(mechanism);
  return vit::build_attention(mechanism, {.dim = kDim,
                                          .num_heads = kHeads,
                                          .grid = {kSide, kSide},
                                          .prefix_tokens = prefix_of(traits),
                                          .memory_dim = traits.needs_memory ? kDim : 0});
}

vit::Image draw_attention(const vit::ConfigNode& mechanism, uint64_t seed) {
  const vit::AttentionTraits& traits = traits_of(mechanism);
  const std::unique_ptr<vit::Attention> attention = build_for_picture(mechanism);
  fill(*attention, seed);
  const vit::Image scene = datasets::draw_scene(kSceneSeed, kSceneIndex, kSide * kPatch).image;
  vit::AttentionInput input{.grid = {kSide, kSide}, .prefix_tokens = prefix_of(traits)};
  if (traits.needs_memory) {
    input.memory = tokens_of(scene, 0, seed);
    input.memory_grids = {{kSide, kSide}};
  }
  Offered offered;
  vit::Context ctx;
  ctx.observer = &offered;
  attention->forward(ctx, tokens_of(scene, input.prefix_tokens, seed), input);
  if (const vit::Tensor probs = offered.find("probs"); probs.defined())
    return draw_matrix(probs, scene, input.prefix_tokens);
  if (const vit::Tensor probs = offered.find("channel_probs"); probs.defined()) return draw_channels(probs);
  if (const vit::Tensor rows = offered.find("row_probs"); rows.defined())
    return draw_block_matrices(rows, offered.find("column_probs"));
  mechanism.refuse("this attention offers neither scores nor factors that could be drawn");
}

}  // namespace apps
