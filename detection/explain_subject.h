// A detection as what is explained.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "detection/postprocess.h"
#include "vit/explain/explained_model.h"
#include "vit/explain/subject.h"

namespace detection {

class DetectionModel;

/// The objective is the class's logit of the query that found the object. The score of changed pixels is the best of
/// all queries' class probability times the overlap (IoU) of its box with the object's, as D-RISE has it (Petsiuk et
/// al. 2021, "Black-box explanation of object detectors via saliency maps", eq. 4): queries may trade places.
class DetectionSubject : public vit::Subject {
 public:
  /// `found`: in a picture of `size` pixels, whose input may be padded (`pixel_mask` [1, height, width] or undefined).
  /// Errors: the model is no detector.
  DetectionSubject(std::shared_ptr<const vit::ExplainedModel> model, const Detection& found, vit::Extent size,
                   vit::Tensor pixel_mask, std::string label);

  std::string name() const override { return label_; }
  int64_t query() const { return found_.query; }
  const vit::ImageModel& model() const override { return model_->fast(); }
  vit::Var objective(vit::Context& ctx, const vit::Var& pixels) const override;
  std::vector<double> scores(const vit::Tensor& pixels) const override;
  const std::vector<std::string>& offers() const override;
  vit::AttentionRole role_of(const std::string& module) const override;
  std::vector<double> readout(vit::AttentionRole role, int64_t tokens, const vit::TokenLayout& layout) const override;
  std::unique_ptr<vit::Subject> randomized(uint64_t seed) const override;

 private:
  const DetectionModel& detector() const;
  /// Queries ask apart from the picture's tokens.
  bool has_decoder() const;
  /// How well each query of a sample of [B, Q, ...] stands for the object: probability times overlap.
  std::vector<double> agreement(const vit::Tensor& logits, const vit::Tensor& boxes, int64_t b) const;

  std::shared_ptr<const vit::ExplainedModel> model_;
  Detection found_;
  vit::Extent size_;
  vit::Tensor pixel_mask_;
  std::string label_;
};

}  // namespace detection
