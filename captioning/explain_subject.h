// Words of a caption as what is explained.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vit/explain/explained_model.h"
#include "vit/explain/subject.h"

namespace captioning {

class CaptionModel;

/// Which words of a caption are asked about: pieces of ids, by their place. The first id is the start.
struct AskedWords {
  std::vector<int64_t> ids;    ///< with the start in front
  std::vector<size_t> pieces;  ///< of ids, none of them the first
  std::string text;            ///< "dog", or the whole caption
};

/// The objective is the mean logit of the pieces, each behind what stands in front of it; the score the geometric mean
/// of their probabilities. Where words look is read at the tokens in front of the pieces.
class CaptionSubject : public vit::Subject {
 public:
  /// Errors: the model is no captioner; no pieces, or pieces outside of ids.
  CaptionSubject(std::shared_ptr<const vit::ExplainedModel> model, AskedWords words);

  std::string name() const override { return words_.text; }
  const AskedWords& words() const { return words_; }
  const vit::ImageModel& model() const override { return model_->fast(); }
  vit::Var objective(vit::Context& ctx, const vit::Var& pixels) const override;
  std::vector<double> scores(const vit::Tensor& pixels) const override;
  const std::vector<std::string>& offers() const override;
  vit::AttentionRole role_of(const std::string& module) const override;
  std::optional<vit::TokenLayout> layout_of(const std::string& module) const override;
  std::vector<double> readout(vit::AttentionRole role, int64_t tokens, const vit::TokenLayout& layout) const override;
  std::string attention_refusal() const override;
  std::unique_ptr<vit::Subject> randomized(uint64_t seed) const override;

 private:
  const CaptionModel& captioner() const;
  /// Logits [B, T, V] of what follows each id but the last.
  vit::Var run(vit::Context& ctx, const vit::Var& pixels) const;

  std::shared_ptr<const vit::ExplainedModel> model_;
  AskedWords words_;
};

}  // namespace captioning
