// What a detector is trained to: every object is matched to one query, whose class and box it then is; all other
// queries are to say that there is nothing (Carion et al. 2020, "DETR", section 3.1). The losses are those of
// facebookresearch/detr's SetCriterion, and of transformers' Deformable DETR and RT-DETR.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "detection/matcher.h"
#include "detection/model.h"
#include "vit/core/config.h"

namespace detection {

/// Costs of the matching and weights of the losses; the defaults are DETR's, see default_criterion().
struct CriterionConfig {
  ClassLoss class_loss = ClassLoss::cross_entropy;
  double cost_class = 1.0;
  double cost_bbox = 5.0;
  double cost_giou = 2.0;
  double cost_alpha = 0.25;
  double cost_gamma = 2.0;
  double class_loss_coef = 1.0;
  double bbox_loss_coef = 5.0;
  double giou_loss_coef = 2.0;
  double eos_coef = 0.1;
  double focal_alpha = 0.25;
  double focal_gamma = 2.0;
  bool aux_loss = true;

  template <class V>
  void visit_fields(V& v) {
    v("class_loss", class_loss, "How classes are learnt; the default is the model family's.");
    v("cost_class", cost_class, "Weight of the class in the matching.", vit::at_least(0));
    v("cost_bbox", cost_bbox, "Weight of the boxes' L1 distance in the matching.", vit::at_least(0));
    v("cost_giou", cost_giou, "Weight of the boxes' generalised IoU in the matching.", vit::at_least(0));
    v("cost_alpha", cost_alpha, "Alpha of the matching's focal cost (focal, varifocal).", vit::between(0, 1));
    v("cost_gamma", cost_gamma, "Gamma of the matching's focal cost (focal, varifocal).", vit::at_least(0));
    v("class_loss_coef", class_loss_coef, "Weight of the class loss.", vit::at_least(0));
    v("bbox_loss_coef", bbox_loss_coef, "Weight of the boxes' L1 loss.", vit::at_least(0));
    v("giou_loss_coef", giou_loss_coef, "Weight of the boxes' generalised-IoU loss.", vit::at_least(0));
    v("eos_coef", eos_coef, "Weight of \"no object\" among the classes (cross_entropy).", vit::above(0));
    v("focal_alpha", focal_alpha, "focal: weight of objects; varifocal: weight of the background.", vit::between(0, 1));
    v("focal_gamma", focal_gamma, "Exponent that plays down what is known already (focal, varifocal).",
      vit::at_least(0));
    v("aux_loss", aux_loss, "Every decoder layer's answer has the same losses.");
  }
  /// Errors (usage): nothing is matched by, or nothing is learnt.
  void validate() const;
};

/// The authors' values for a kind of class loss: DETR's, Deformable DETR's (class costs 2) or RT-DETR's (the same, with
/// an alpha of 0.75 in the loss).
CriterionConfig default_criterion(ClassLoss class_loss);

/// What a batch came to.
struct CriterionResult {
  vit::Var total;  ///< [1]: the weighted sum of everything
  /// Unweighted: loss_ce (varifocal: loss_vfl), loss_bbox, loss_giou and cardinality_error of the last level, with _0,
  /// _1, ... of the levels before it, _enc of the proposals, and _dn_0, ..., _dn of denoising queries;
  /// class_error of the last level: percent of the matched queries with another class.
  std::vector<std::pair<std::string, double>> parts;
  /// (query, target) pairs, per level and picture.
  std::vector<std::vector<Matches>> matches;
};

/// Thread-safe.
class SetCriterion {
 public:
  /// For a model with `classes` classes. Errors (usage): a class loss that does not go with `scoring`.
  SetCriterion(const CriterionConfig& config, Scoring scoring, int64_t classes);

  /// Losses of boxes are sums over all matches, divided by the number of targets in the batch (at least 1; times the
  /// groups for denoising queries), as are focal and varifocal losses; cross-entropy is a mean weighted by the classes'
  /// weights. Errors: an output or a target is not finite, a label outside [0, classes), other shapes.
  CriterionResult operator()(vit::Context& ctx, const DetectionOutput& output,
                             const std::vector<vit::BoxTargets>& targets) const;

  const CriterionConfig& config() const { return config_; }

 private:
  struct Set;
  struct Sum;
  /// All that is compared with the targets, of which there are so many; the levels come first.
  std::vector<Set> sets_of(const DetectionOutput& output, double targets) const;
  void add_losses(vit::Context& ctx, const Set& set, const std::vector<vit::BoxTargets>& targets, Sum& sum) const;
  vit::Var class_loss(vit::Context& ctx, const Set& set, const std::vector<vit::BoxTargets>& targets) const;
  Matches match(const Set& set, const vit::BoxTargets& targets, int64_t picture) const;

  CriterionConfig config_;
  Scoring scoring_;
  int64_t classes_;
  vit::Tensor class_weights_;  ///< cross_entropy: [classes + 1]
};

}  // namespace detection
