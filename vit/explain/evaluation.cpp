#include "vit/explain/evaluation.h"

#include <cmath>

#include "vit/core/check.h"
#include "vit/core/rng.h"
#include "vit/core/timer.h"
#include "vit/explain/object_share.h"

namespace vit {

namespace {

Explanation random_map(uint64_t seed, int64_t index) {
  constexpr int64_t kCells = 7;
  Explanation result{.map = Tensor::empty({kCells, kCells})};
  Rng rng(seed, Rng::stream_of(kRandomBaseline) + static_cast<uint64_t>(index));
  fill_uniform(result.map, rng, 0.0f, 1.0f);
  return result;
}

Explanation centre_map(int64_t height, int64_t width) {
  Explanation result{.map = Tensor::empty({height, width})};
  const auto distance = [](int64_t at, int64_t extent) {
    return ((static_cast<double>(at) + 0.5) / static_cast<double>(extent) - 0.5) / 0.25;
  };
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const double down = distance(y, height), across = distance(x, width);
      result.map.f32()[y * width + x] = static_cast<float>(std::exp(-0.5 * (down * down + across * across)));
    }
  return result;
}

/// The values of one method, a picture at a time.
class Collector {
 public:
  Collector(std::string method, bool baseline) : method_(std::move(method)), baseline_(baseline) {}

  void add(int64_t index, const ExplainedPicture& picture, const Subject* randomized,
           const MethodEvaluationOptions& options) {
    const int64_t height = picture.pixels.size(2), width = picture.pixels.size(3);
    const Timer timer;
    const Explanation map = explanation(index, picture, options);
    if (!baseline_) seconds_.push_back(timer.seconds());
    FaithfulnessOptions wanted = options.faithfulness;
    wanted.sanity = wanted.sanity && !baseline_;
    const Faithfulness found =
        measure_faithfulness(method_, *picture.subject, picture.pixels, map, options.method, wanted, randomized);
    deletion_.push_back(found.deletion.auc);
    insertion_.push_back(found.insertion.auc);
    road_.push_back(found.road.combined);
    if (found.sanity) add_sanity(*found.sanity);
    if (picture.object) add_object(object_share(map.map, map.is_signed, *picture.object, height, width));
  }

  MethodFigures figures(const BootstrapOptions& options) const {
    const auto mean = [&](const std::vector<double>& values) { return bootstrap_mean(values, options); };
    return {.method = method_,
            .baseline = baseline_,
            .deletion = mean(deletion_),
            .insertion = mean(insertion_),
            .road = mean(road_),
            .spearman = mean(spearman_),
            .ssim = mean(ssim_),
            .unchanged = mean(unchanged_),
            .mass = mean(mass_),
            .pointing = mean(pointing_),
            .area = mean(area_),
            .seconds = mean(seconds_)};
  }

 private:
  Explanation explanation(int64_t index, const ExplainedPicture& picture,
                          const MethodEvaluationOptions& options) const {
    if (method_ == kRandomBaseline) return random_map(options.faithfulness.seed, index);
    if (method_ == kCentreBaseline) return centre_map(picture.pixels.size(2), picture.pixels.size(3));
    return explain(method_, *picture.subject, picture.pixels, options.method);
  }

  void add_sanity(const SanityCheck& sanity) {
    ssim_.push_back(sanity.ssim);
    const bool defined = std::isfinite(sanity.spearman);
    if (defined) spearman_.push_back(sanity.spearman);
    unchanged_.push_back(fails_sanity(sanity) ? 1.0 : 0.0);
  }

  void add_object(const ObjectShare& share) {
    mass_.push_back(share.mass);
    pointing_.push_back(share.pointing);
    area_.push_back(share.area);
  }

  std::string method_;
  bool baseline_;
  std::vector<double> deletion_{}, insertion_{}, road_{}, spearman_{}, ssim_{}, unchanged_{}, mass_{}, pointing_{},
      area_{}, seconds_{};
};

}  // namespace

std::vector<MethodFigures> evaluate_methods(int64_t count, const PictureSource& source,
                                            const std::vector<std::string>& methods,
                                            const MethodEvaluationOptions& options) {
  std::vector<Collector> collectors;
  for (const std::string& method : methods) collectors.emplace_back(method, false);
  if (options.baselines)
    for (const char* baseline : {kRandomBaseline, kCentreBaseline}) collectors.emplace_back(baseline, true);
  int64_t read = 0;
  for (int64_t index = 0; index < count; ++index) {
    const std::optional<ExplainedPicture> picture = source(index);
    if (picture) {
      std::shared_ptr<const Subject> randomized = picture->randomized;
      if (!randomized && options.faithfulness.sanity)
        randomized = picture->subject->randomized(options.faithfulness.seed);
      for (Collector& collector : collectors) collector.add(index, *picture, randomized.get(), options);
      ++read;
    }
    if (options.progress) options.progress(index + 1);
  }
  check(read > 0, "none of ", count, " pictures could be explained");
  std::vector<MethodFigures> rows;
  for (const Collector& collector : collectors) rows.push_back(collector.figures(options.bootstrap));
  return rows;
}

}  // namespace vit
