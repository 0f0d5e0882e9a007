#include "detection/set_criterion.h"

#include <algorithm>
#include <cmath>

#include "detection/box_losses.h"
#include "vit/autograd/losses.h"
#include "vit/autograd/ops.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"

namespace detection {

using vit::BoxTargets;
using vit::Context;
using vit::Shape;
using vit::Tensor;
using vit::Var;

/// One set of queries with its losses.
struct SetCriterion::Set {
  DetectionLevel level;
  std::string name;  ///< ends the names of its losses: "_0"
  double divisor = 1.0;
  bool without_class = false;
  std::vector<Matches> matches{};  ///< of every picture
  bool is_matched = false;         ///< they are known: denoising

  int64_t pictures() const { return level.logits.size(0); }
  int64_t queries() const { return level.logits.size(1); }
  int64_t width() const { return level.logits.size(2); }
};

/// The weighted sum so far, and its parts.
struct SetCriterion::Sum {
  Var total;
  std::vector<std::pair<std::string, double>> parts;

  void add(Context& ctx, const std::string& name, const Var& loss, double weight) {
    parts.emplace_back(name, static_cast<double>(loss.value().f32()[0]));
    const Var weighted = vit::scale(ctx, loss, static_cast<float>(weight));
    total = total.defined() ? vit::add(ctx, total, weighted) : weighted;
  }
};

namespace {

void require_finite(const Tensor& tensor, const std::string& what) {
  for (const float value : tensor.span<float>())
    vit::check(std::isfinite(value), "criterion: the ", what, " hold ", value, ": nothing can be matched to that");
}

void check_targets(const std::vector<BoxTargets>& targets, int64_t pictures, int64_t classes) {
  vit::check(static_cast<int64_t>(targets.size()) == pictures, "criterion: ", targets.size(), " pictures' targets for ",
             pictures, " pictures");
  for (size_t b = 0; b < targets.size(); ++b) {
    if (targets[b].size() == 0) continue;
    vit::check(targets[b].boxes.shape() == Shape{targets[b].size(), 4}, "criterion: picture ", b, " of the batch has ",
               targets[b].size(), " labels and boxes ", targets[b].boxes.shape());
    require_finite(targets[b].boxes, vit::str("target boxes of picture ", b));
    for (const int64_t label : targets[b].labels.span<int64_t>())
      vit::check(0 <= label && label < classes, "criterion: label ", label, " in picture ", b, " is outside [0, ",
                 classes, ")");
  }
}

std::vector<BoxTargets> without_classes(std::vector<BoxTargets> targets) {
  for (BoxTargets& picture : targets)
    if (picture.labels.defined()) picture.labels = Tensor::zeros(picture.labels.shape(), vit::DType::i64);
  return targets;
}

/// Matched rows of the boxes [B * Q, 4] and their targets.
BoxPairs pairs_of(const std::vector<Matches>& matches, const std::vector<BoxTargets>& targets, int64_t queries) {
  BoxPairs pairs;
  std::vector<float> wanted;
  for (size_t b = 0; b < matches.size(); ++b)
    for (const auto& [query, target] : matches[b]) {
      pairs.rows.push_back(static_cast<int64_t>(b) * queries + query);
      const float* box = targets[b].boxes.f32() + 4 * target;
      wanted.insert(wanted.end(), box, box + 4);
    }
  if (pairs.size() > 0) pairs.targets = Tensor::from(wanted, {pairs.size(), 4});
  return pairs;
}

/// Classes of all rows [B * Q]; `background` where nothing is matched.
Tensor labels_of(const std::vector<Matches>& matches, const std::vector<BoxTargets>& targets, int64_t queries,
                 int64_t background) {
  Tensor labels = Tensor::empty({static_cast<int64_t>(matches.size()) * queries}, vit::DType::i64);
  int64_t* label = labels.data<int64_t>();
  std::fill_n(label, labels.numel(), background);
  for (size_t b = 0; b < matches.size(); ++b)
    for (const auto& [query, target] : matches[b])
      label[static_cast<int64_t>(b) * queries + query] = targets[b].labels.data<int64_t>()[target];
  return labels;
}

/// Mean over the pictures of |queries that say there is something - targets|.
double cardinality_error(const Tensor& logits, const std::vector<BoxTargets>& targets, Scoring scoring) {
  const int64_t queries = logits.size(1), width = logits.size(2);
  double sum = 0.0;
  for (size_t b = 0; b < targets.size(); ++b) {
    int64_t found = 0;
    for (int64_t q = 0; q < queries; ++q) {
      const float* z = logits.f32() + (static_cast<int64_t>(b) * queries + q) * width;
      const float* best = std::max_element(z, z + width);
      found += scoring == Scoring::softmax ? (best != z + width - 1) : (*best > 0.0f);
    }
    sum += static_cast<double>(std::abs(found - targets[b].size()));
  }
  return sum / static_cast<double>(targets.size());
}

/// Percent of the matched queries whose best class is another than the target's; 100 where nothing is matched.
double class_error(const Tensor& logits, const std::vector<Matches>& matches, const std::vector<BoxTargets>& targets) {
  const int64_t queries = logits.size(1), width = logits.size(2);
  int64_t matched = 0, right = 0;
  for (size_t b = 0; b < matches.size(); ++b)
    for (const auto& [query, target] : matches[b]) {
      const float* z = logits.f32() + (static_cast<int64_t>(b) * queries + query) * width;
      ++matched;
      right += std::max_element(z, z + width) - z == targets[b].labels.data<int64_t>()[target];
    }
  return 100.0 - (matched > 0 ? 100.0 * static_cast<double>(right) / static_cast<double>(matched) : 0.0);
}

}  // namespace

void CriterionConfig::validate() const {
  if (cost_class + cost_bbox + cost_giou <= 0.0)
    vit::fail_usage("cost_class, cost_bbox and cost_giou are all 0: there is nothing to match by");
  if (class_loss_coef + bbox_loss_coef + giou_loss_coef <= 0.0)
    vit::fail_usage("class_loss_coef, bbox_loss_coef and giou_loss_coef are all 0: there is nothing to learn");
}

CriterionConfig default_criterion(ClassLoss class_loss) {
  CriterionConfig config;
  config.class_loss = class_loss;
  if (class_loss == ClassLoss::cross_entropy) return config;
  config.cost_class = 2.0;
  // RT-DETR has 1 here, Deformable DETR 1 in transformers and 2 in its authors' code.
  config.class_loss_coef = class_loss == ClassLoss::focal ? 2.0 : 1.0;
  config.focal_alpha = class_loss == ClassLoss::focal ? 0.25 : 0.75;
  return config;
}

SetCriterion::SetCriterion(const CriterionConfig& config, Scoring scoring, int64_t classes)
    : config_(config), scoring_(scoring), classes_(classes) {
  config.validate();
  const bool softmax = config.class_loss == ClassLoss::cross_entropy;
  if (softmax != (scoring == Scoring::softmax))
    vit::fail_usage("criterion.class_loss: the model's classes are read by ",
                    softmax ? "sigmoid, which takes focal or varifocal" : "softmax, which takes cross_entropy");
  if (!softmax) return;
  class_weights_ = Tensor::full({classes + 1}, 1.0f);
  class_weights_.f32()[classes] = static_cast<float>(config.eos_coef);
}

Matches SetCriterion::match(const Set& set, const BoxTargets& targets, int64_t picture) const {
  const int64_t row = picture * set.queries();
  return match_queries(set.level.logits.value().f32() + row * set.width(), set.level.boxes.value().f32() + 4 * row,
                       set.queries(), classes_, scoring_, targets,
                       {.cost_class = config_.cost_class,
                        .cost_bbox = config_.cost_bbox,
                        .cost_giou = config_.cost_giou,
                        .alpha = config_.cost_alpha,
                        .gamma = config_.cost_gamma});
}

Var SetCriterion::class_loss(Context& ctx, const Set& set, const std::vector<BoxTargets>& targets) const {
  const bool softmax = scoring_ == Scoring::softmax;
  const Tensor labels = labels_of(set.matches, targets, set.queries(), softmax ? classes_ : -1);
  const Var logits = vit::reshape(ctx, set.level.logits, {labels.numel(), set.width()});
  if (softmax) return vit::cross_entropy(ctx, logits, labels, {.class_weights = class_weights_});
  const FocalOptions options{.alpha = config_.focal_alpha, .gamma = config_.focal_gamma};
  if (config_.class_loss == ClassLoss::focal) return sigmoid_focal_loss(ctx, logits, labels, options, set.divisor);
  const BoxPairs pairs = pairs_of(set.matches, targets, set.queries());
  // The IoU is a target here: no gradient goes through it.
  const std::vector<double> ious = pair_ious(set.level.boxes.value().view({labels.numel(), 4}), pairs);
  Tensor quality = Tensor::zeros({labels.numel()});
  for (size_t i = 0; i < ious.size(); ++i) quality.f32()[pairs.rows[i]] = static_cast<float>(ious[i]);
  return varifocal_loss(ctx, logits, labels, quality, options, set.divisor);
}

void SetCriterion::add_losses(Context& ctx, const Set& set, const std::vector<BoxTargets>& targets, Sum& sum) const {
  const Var boxes = vit::reshape(ctx, set.level.boxes, {set.pictures() * set.queries(), 4});
  const BoxPairs pairs = pairs_of(set.matches, targets, set.queries());
  sum.add(ctx, (config_.class_loss == ClassLoss::varifocal ? "loss_vfl" : "loss_ce") + set.name,
          class_loss(ctx, set, targets), config_.class_loss_coef);
  sum.add(ctx, "loss_bbox" + set.name, box_l1_loss(ctx, boxes, pairs, set.divisor), config_.bbox_loss_coef);
  sum.add(ctx, "loss_giou" + set.name, box_giou_loss(ctx, boxes, pairs, set.divisor), config_.giou_loss_coef);
}

std::vector<SetCriterion::Set> SetCriterion::sets_of(const DetectionOutput& output, double targets) const {
  const auto name = [](const std::vector<DetectionLevel>& levels, size_t i, const std::string& prefix) {
    return i + 1 < levels.size() ? vit::str(prefix, "_", i) : prefix;
  };
  std::vector<Set> sets;
  for (size_t i = 0; i < output.levels.size(); ++i)
    sets.push_back({output.levels[i], name(output.levels, i, ""), targets});
  if (output.proposals) sets.push_back({*output.proposals, "_enc", targets, output.proposals_without_class});
  if (output.denoising) {
    const DenoisingLevels& denoising = *output.denoising;
    for (size_t i = 0; i < denoising.levels.size(); ++i)
      sets.push_back({denoising.levels[i], name(denoising.levels, i, "_dn"),
                      targets * static_cast<double>(denoising.groups), false, denoising.matches, true});
  }
  const int64_t width = classes_ + (scoring_ == Scoring::softmax ? 1 : 0);
  for (const Set& set : sets) {
    const std::string where = set.name.empty() ? "the last layer" : "level '" + set.name.substr(1) + "'";
    vit::check(set.level.logits.value().rank() == 3 && set.width() == width &&
                   set.level.boxes.shape() == Shape{set.pictures(), set.queries(), 4},
               "criterion: expected logits [B, Q, ", width, "] and boxes [B, Q, 4] of ", where, ", got ",
               set.level.logits.shape(), " and ", set.level.boxes.shape());
    require_finite(set.level.logits.value(), "logits of " + where);
    require_finite(set.level.boxes.value(), "boxes of " + where);
  }
  return sets;
}

CriterionResult SetCriterion::operator()(Context& ctx, const DetectionOutput& output,
                                         const std::vector<BoxTargets>& targets) const {
  const vit::StageTimer timer(ctx.profile, "criterion");
  vit::check(!output.levels.empty(), "criterion: the detector gave no answer");
  vit::check(!output.denoising || output.denoising->matches.size() == targets.size(),
             "criterion: denoising queries need the matches of each of the ", targets.size(), " pictures");
  check_targets(targets, output.levels.back().logits.size(0), classes_);
  int64_t count = 0;
  for (const BoxTargets& picture : targets) count += picture.size();
  std::vector<Set> sets = sets_of(output, static_cast<double>(std::max<int64_t>(1, count)));

  const std::vector<BoxTargets> unclassed = without_classes(targets);
  const auto targets_of = [&](const Set& set) -> const std::vector<BoxTargets>& {
    return set.without_class ? unclassed : targets;
  };
  const auto pictures = static_cast<int64_t>(targets.size());
  for (Set& set : sets) set.matches.resize(targets.size());
  vit::parallel_try(static_cast<int64_t>(sets.size()) * pictures, [&](int64_t part) {
    Set& set = sets[static_cast<size_t>(part / pictures)];
    const auto b = static_cast<size_t>(part % pictures);
    if (!set.is_matched) set.matches[b] = match(set, targets_of(set)[b], part % pictures);
  });

  Sum sum;
  CriterionResult result;
  for (size_t i = 0; i < sets.size(); ++i) {
    add_losses(ctx, sets[i], targets_of(sets[i]), sum);
    if (i >= output.levels.size()) continue;
    const Tensor& logits = sets[i].level.logits.value();
    sum.parts.emplace_back("cardinality_error" + sets[i].name, cardinality_error(logits, targets, scoring_));
    if (sets[i].name.empty()) sum.parts.emplace_back("class_error", class_error(logits, sets[i].matches, targets));
    result.matches.push_back(std::move(sets[i].matches));
  }
  result.total = sum.total;
  result.parts = std::move(sum.parts);
  return result;
}

}  // namespace detection
