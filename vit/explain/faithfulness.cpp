#include "vit/explain/faithfulness.h"

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

namespace vit {

namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json curve_json(const RemovalCurve& curve) {
  return {{"auc", number(curve.auc)}, {"shares", curve.shares}, {"scores", curve.scores}};
}

}  // namespace

Faithfulness measure_faithfulness(const std::string& method, const Subject& subject, const Tensor& pixels,
                                  const Explanation& explanation, const MethodOptions& method_options,
                                  const FaithfulnessOptions& options, const Subject* randomized) {
  check(pixels.rank() == 4 && pixels.size(0) == 1, "faithfulness: expected one picture, got ", pixels.shape());
  const int64_t height = pixels.size(2), width = pixels.size(3);
  const RemovalOrder order(explanation.map, height, width, options.square);
  const RemovalCurves curves = removal_curves(
      subject, pixels, order, {.steps = options.steps, .blur = options.blur, .batch_size = options.batch_size});
  Faithfulness result{
      .score = curves.deletion.scores.front(), .deletion = curves.deletion, .insertion = curves.insertion};
  result.road = measure_road(subject, pixels, order,
                             {.shares = options.road_shares,
                              .noise = options.road_noise,
                              .seed = options.seed,
                              .batch_size = options.batch_size});
  if (!options.sanity) return result;
  std::unique_ptr<Subject> made;
  if (randomized == nullptr) {
    made = subject.randomized(options.seed);
    randomized = made.get();
  }
  // Another seed: noise that both maps had in common would pass for what random weights do not change.
  MethodOptions other_options = method_options;
  ++other_options.seed;
  const Explanation other = explain(method, *randomized, pixels, other_options);
  result.sanity = compare_maps(explanation.map, other.map, height, width, explanation.is_signed);
  return result;
}

Json to_json(const Faithfulness& faithfulness) {
  const Road& road = faithfulness.road;
  Json json = {
      {"score", number(faithfulness.score)},
      {"deletion", curve_json(faithfulness.deletion)},
      {"insertion", curve_json(faithfulness.insertion)},
      {"road",
       {{"combined", number(road.combined)}, {"shares", road.shares}, {"morf", road.morf}, {"lerf", road.lerf}}},
      {"sanity", nullptr}};
  if (faithfulness.sanity)
    json["sanity"] = {{"spearman", number(faithfulness.sanity->spearman)},
                      {"ssim", number(faithfulness.sanity->ssim)},
                      {"verdict", faithfulness.sanity->verdict}};
  return json;
}

}  // namespace vit
