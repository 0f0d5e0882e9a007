#include "vit/train/monitor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "vit/core/parallel.h"

namespace vit {

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Figures of HeadStatistics and their names, in the order of the log.
using Figure = std::pair<const char*, double HeadStatistics::*>;
constexpr std::array<Figure, 6> kFigures = {{{"entropy", &HeadStatistics::entropy},
                                             {"normalised_entropy", &HeadStatistics::normalised_entropy},
                                             {"distance", &HeadStatistics::distance},
                                             {"prefix_share", &HeadStatistics::prefix_share},
                                             {"max_logit", &HeadStatistics::max_logit},
                                             {"similarity", &HeadStatistics::similarity}}};

/// "blocks.3.attn.probs" -> {"blocks.3", "probs"}: the last part, and the layer without the mechanism's own name.
std::pair<std::string, std::string> split_name(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  std::string layer = name.substr(0, dot);
  if (layer.ends_with(".attn")) layer.resize(layer.size() - 5);
  return {layer, name.substr(dot + 1)};
}

/// One head's attention on one picture.
struct Map {
  const float* probs;  ///< [queries, keys]
  int64_t queries, keys;

  double mean_entropy() const {
    double sum = 0.0;
    for (int64_t i = 0; i < queries * keys; ++i)
      if (probs[i] > 0.0f) sum -= probs[i] * std::log(probs[i]);
    return sum / static_cast<double>(queries);
  }

  double mean_share(int64_t prefix) const {
    double sum = 0.0;
    for (int64_t i = 0; i < queries; ++i)
      for (int64_t j = 0; j < prefix; ++j) sum += probs[i * keys + j];
    return sum / static_cast<double>(queries);
  }

  /// Over queries of the grid, each one's attention to the grid taken as a distribution of its own.
  double mean_distance(int64_t prefix, int64_t grid_h, int64_t grid_w, const std::vector<float>& distances) const {
    double sum = 0.0;
    int64_t asking = 0;
    for (int64_t i = prefix; i < queries; ++i) {
      const int64_t y = (i - prefix) / grid_w, x = (i - prefix) % grid_w;
      const float* row = probs + i * keys + prefix;
      double far = 0.0, mass = 0.0;
      for (int64_t v = 0; v < grid_h; ++v)
        for (int64_t u = 0; u < grid_w; ++u) {
          const float p = row[v * grid_w + u];
          far += static_cast<double>(p) * distances[static_cast<size_t>(std::abs(v - y) * grid_w + std::abs(u - x))];
          mass += p;
        }
      if (mass <= 0.0) continue;
      sum += far / mass;
      ++asking;
    }
    return asking > 0 ? sum / static_cast<double>(asking) : kUnknown;
  }

  double dot(const Map& other) const {
    double sum = 0.0;
    for (int64_t i = 0; i < queries * keys; ++i) sum += static_cast<double>(probs[i]) * other.probs[i];
    return sum;
  }
};

/// Distances by steps down and steps to the side, in patches.
std::vector<float> grid_distances(int64_t grid_h, int64_t grid_w) {
  std::vector<float> distances;
  for (int64_t y = 0; y < grid_h; ++y)
    for (int64_t x = 0; x < grid_w; ++x) distances.push_back(std::sqrt(static_cast<float>(y * y + x * x)));
  return distances;
}

/// Mean cosine of each of one picture's maps with the others.
void similarities(const std::vector<Map>& maps, double* similarity_h) {
  const size_t heads = maps.size();
  std::vector<double> norms, sums(heads, 0.0);
  for (const Map& map : maps) norms.push_back(std::sqrt(map.dot(map)));
  for (size_t a = 0; a < heads; ++a)
    for (size_t b = a + 1; b < heads; ++b) {
      const double cosine = maps[a].dot(maps[b]) / std::max(norms[a] * norms[b], 1e-30);
      sums[a] += cosine;
      sums[b] += cosine;
    }
  for (size_t h = 0; h < heads; ++h) similarity_h[h] = heads > 1 ? sums[h] / static_cast<double>(heads - 1) : kUnknown;
}

}  // namespace

HeadStatistics LayerStatistics::mean() const {
  HeadStatistics mean;
  for (const auto& [name, figure] : kFigures) {
    double sum = 0.0, largest = -std::numeric_limits<double>::infinity();
    for (const HeadStatistics& head : heads) {
      sum += head.*figure;
      largest = std::max(largest, head.*figure);
    }
    mean.*figure = sum / static_cast<double>(std::max<size_t>(1, heads.size()));
    if (figure == &HeadStatistics::max_logit) mean.*figure = std::isfinite(largest) ? largest : kUnknown;
  }
  return mean;
}

bool AttentionStatistics::wants(const std::string& name) {
  const std::string what = split_name(name).second;
  return what == "probs" || what == "scores" || what == "layout";
}

AttentionStatistics::Sums& AttentionStatistics::sums_of(const std::string& layer, int64_t heads) {
  auto found = std::find_if(sums_.begin(), sums_.end(), [&](const Sums& sums) { return sums.layer == layer; });
  if (found == sums_.end()) {
    const HeadStatistics start{.max_logit = kUnknown};
    found = sums_.insert(sums_.end(), Sums{layer, 0, 0, std::vector(static_cast<size_t>(heads), start)});
  }
  check(static_cast<int64_t>(found->heads.size()) == heads, "attention monitor: ", layer, " had ", found->heads.size(),
        " heads and now has ", heads);
  return *found;
}

void AttentionStatistics::observe(const std::string& name, const Tensor& value) {
  const auto [layer, what] = split_name(name);
  if (what == "layout") {
    const auto at = [&](int64_t i) { return static_cast<int64_t>(value.f32()[i]); };
    layouts_[layer] = {at(0), at(1), at(2)};
    return;
  }
  check(value.rank() == 4, "attention monitor: ", name, " must be [B, H, Nq, Nk], got ", value.shape());
  if (value.numel() == 0) return;
  Sums& sums = sums_of(layer, value.size(1));
  if (what == "probs") {
    const auto layout = layouts_.find(layer);
    add_probs(sums, value, layout == layouts_.end() ? nullptr : &layout->second);
    return;
  }
  const int64_t heads = value.size(1), pairs = value.size(0) * heads, plane = value.numel() / pairs;
  for (int64_t pair = 0; pair < pairs; ++pair) {
    const float* scores_bh = value.f32() + pair * plane;
    double& largest = sums.heads[static_cast<size_t>(pair % heads)].max_logit;
    largest = std::fmax(largest, *std::max_element(scores_bh, scores_bh + plane));
  }
}

void AttentionStatistics::add_probs(Sums& sums, const Tensor& probs, const Layout* layout) const {
  const int64_t pictures = probs.size(0), heads = probs.size(1), queries = probs.size(2), keys = probs.size(3);
  const bool fits = layout && keys == layout->prefix + layout->grid_h * layout->grid_w;
  const bool spatial = fits && queries == keys && keys > layout->prefix;
  const std::vector<float> distances = spatial ? grid_distances(layout->grid_h, layout->grid_w) : std::vector<float>();
  // Measured picture by picture, then added in order: the same figures on any number of threads.
  std::vector<HeadStatistics> measured(static_cast<size_t>(pictures * heads));
  parallel_try(pictures, [&](int64_t b) {
    std::vector<Map> maps;
    std::vector<double> similarity(static_cast<size_t>(heads));
    for (int64_t h = 0; h < heads; ++h) maps.push_back({probs.f32() + (b * heads + h) * queries * keys, queries, keys});
    similarities(maps, similarity.data());
    for (int64_t h = 0; h < heads; ++h) {
      const Map& map = maps[static_cast<size_t>(h)];
      HeadStatistics& head = measured[static_cast<size_t>(b * heads + h)];
      head.entropy = map.mean_entropy();
      head.normalised_entropy = keys > 1 ? head.entropy / std::log(static_cast<double>(keys)) : kUnknown;
      head.prefix_share = fits && layout->prefix > 0 ? map.mean_share(layout->prefix) : kUnknown;
      head.distance = spatial ? map.mean_distance(layout->prefix, layout->grid_h, layout->grid_w, distances) : kUnknown;
      head.similarity = similarity[static_cast<size_t>(h)];
    }
  });
  for (size_t at = 0; at < measured.size(); ++at) {
    HeadStatistics& head = sums.heads[at % static_cast<size_t>(heads)];
    for (const auto& [name, figure] : kFigures)
      if (figure != &HeadStatistics::max_logit) head.*figure += measured[at].*figure;
  }
  sums.pictures += pictures;
}

std::vector<LayerStatistics> AttentionStatistics::layers() const {
  std::vector<LayerStatistics> layers;
  for (const Sums& sums : sums_) {
    if (sums.pictures == 0) continue;
    LayerStatistics& layer = layers.emplace_back(LayerStatistics{sums.layer, sums.heads});
    for (HeadStatistics& head : layer.heads)
      for (const auto& [name, figure] : kFigures)
        if (figure != &HeadStatistics::max_logit) head.*figure /= static_cast<double>(sums.pictures);
  }
  return layers;
}

std::vector<Metric> AttentionMonitor::measure(Task& task, const std::function<void(const std::string&)>& warn) {
  AttentionStatistics statistics;
  Context ctx;
  ctx.observer = &statistics;
  if (!task.probe(ctx, config_.images)) return {};
  std::vector<Metric> metrics;
  const auto add = [&](const std::string& prefix, const HeadStatistics& values) {
    for (const auto& [name, figure] : kFigures)
      if (std::isfinite(values.*figure)) metrics.emplace_back(prefix + name, values.*figure);
  };
  for (const LayerStatistics& layer : statistics.layers()) {
    const std::string prefix = "attention/" + (layer.layer.empty() ? std::string("model") : layer.layer) + "/";
    add(prefix, layer.mean());
    for (size_t h = 0; h < layer.heads.size(); ++h) add(prefix + "head." + std::to_string(h) + "/", layer.heads[h]);
    judge(layer, warn);
  }
  return metrics;
}

AttentionMonitor::Kind AttentionMonitor::kind_of(double normalised_entropy) const {
  if (std::isnan(normalised_entropy)) return Kind::unknown;
  if (normalised_entropy < config_.min_entropy) return Kind::single;
  return normalised_entropy > config_.max_entropy ? Kind::uniform : Kind::fine;
}

void AttentionMonitor::judge(const LayerStatistics& layer, const std::function<void(const std::string&)>& warn) {
  std::vector<History>& history = history_[layer.layer];
  history.resize(layer.heads.size());
  std::string single, uniform, exploding;
  const auto list = [](std::string& heads, size_t head, double figure) {
    heads += str(heads.empty() ? "" : ", ", head, " (", figure, ")");
  };
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    const HeadStatistics& now = layer.heads[h];
    History& before = history[h];
    const Kind kind = kind_of(now.normalised_entropy);
    const bool changed = before.kind != Kind::unknown && kind != before.kind;
    if (changed && kind == Kind::single) list(single, h, now.normalised_entropy);
    if (changed && kind == Kind::uniform) list(uniform, h, now.normalised_entropy);
    before.kind = kind;
    // Said once, and again when they have doubled.
    const bool grows = now.max_logit > config_.max_logit && now.max_logit > before.logit;
    if (grows && now.max_logit > 2.0 * before.warned_logit) {
      list(exploding, h, now.max_logit);
      before.warned_logit = now.max_logit;
    }
    before.logit = now.max_logit;
  }
  const std::string where = "warning: attention of " + layer.layer + ": ";
  if (!single.empty())
    warn(where + "collapsed to single tokens (normalised entropy) in head " + single +
         "; a lower lr, a longer warm-up or qk_norm helps");
  if (!uniform.empty())
    warn(where + "all tokens alike (normalised entropy) in head " + uniform + ": these heads only average");
  if (!exploding.empty())
    warn(where + "logits grow, the largest are in head " + exploding +
         "; a lower lr, weight decay on attn.qkv or qk_norm helps");
}

}  // namespace vit
