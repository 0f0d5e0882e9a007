// Training of captioners: every word is to follow from the picture and the words before it (teacher forcing), with what
// attention needs beside; on held-out pictures captions are written and compared with those of people.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "captioning/caption_batch.h"
#include "captioning/generate.h"
#include "captioning/model.h"
#include "captioning/tokenizer.h"
#include "datasets/caption_dataset.h"
#include "vit/attention/hard.h"
#include "vit/core/config.h"
#include "vit/train/task.h"

namespace captioning {

struct CaptionLossConfig {
  double label_smoothing = 0.0;
  double doubly_stochastic = 0.0;
  double scheduled_sampling = 0.0;
  double reward_weight = 1.0;
  double entropy_weight = 0.01;
  double baseline_decay = 0.9;
  int64_t max_tokens = 48;

  template <class V>
  void visit_fields(V& v) {
    v("label_smoothing", label_smoothing, "Share of each word's target that is spread over the vocabulary.",
      vit::between(0, 0.99));
    v("doubly_stochastic", doubly_stochastic,
      "Weight of (1 - sum of a region's attention over the words)^2: a caption looks everywhere.", vit::at_least(0));
    v("scheduled_sampling", scheduled_sampling,
      "Probability in the last epoch that a word before is the model's own and not the caption's; it rises from 0.",
      vit::between(0, 1));
    v("reward_weight", reward_weight, "Hard attention by REINFORCE: weight of the reward.", vit::at_least(0));
    v("entropy_weight", entropy_weight, "Hard attention by REINFORCE: weight of the entropy of the draws.",
      vit::at_least(0));
    v("baseline_decay", baseline_decay, "Hard attention by REINFORCE: share of the old baseline in the moving average.",
      vit::between(0, 1));
    v("max_tokens", max_tokens, "Captions with more tokens are cut in training.", vit::between(1, 1 << 16));
  }
};

/// What a captioner is judged on.
struct CaptionValidation {
  vit::BatchSource* batches = nullptr;  ///< its batches say which pictures they are; null: nothing is evaluated
  const datasets::CaptionDataset* data = nullptr;  ///< all captions of the pictures
  GenerationConfig generation{};                   ///< how captions are written
};

class CaptionTask : public vit::Task {
 public:
  /// `files` go into every checkpoint, with the tokenizer's. All references outlive the task. Errors (usage): a
  /// tokenizer with more tokens than the model; a loss on attention's weights (doubly_stochastic) where the model's
  /// mechanism does not hand them over; hard attention by REINFORCE without the model's `reward_baseline`.
  CaptionTask(CaptionModel& model, const Tokenizer& tokenizer, const CaptionLossConfig& loss,
              const CaptionValidation& validation, std::map<std::string, std::string> files);
  /// The model's mechanisms tell nobody any more.
  ~CaptionTask() override;

  vit::Module& module() override;
  /// `share`: the part of the run's epochs that is done, for scheduled sampling.
  void start_epoch(double share) override { progress_ = share; }
  /// Batch::captions are the targets. The mean cross-entropy of a word, plus
  ///   lambda mean_i (1 - sum_t alpha_ti)^2                  (Xu et al. 2015, section 4.2.1; the mean over regions)
  ///   -(1 / T) mean_b (lambda_r (log p(y_b) / T_b - baseline) sum_t log alpha(s_bt) + lambda_e sum_t H_bt)
  ///                                                         (section 4.1, eq. 12, by word; only where draws are made)
  /// Scheduled sampling (Bengio et al. 2015) is done in two passes, as Mihaylova and Martins 2019 do: words before are
  /// replaced by draws from what a first pass, on the caption, predicts.
  vit::Var loss(vit::Context& ctx, const vit::Batch& batch) override;
  /// The figures of caption_metrics.h (bleu1, ..., rouge_l, cider, ...) of captions written by `generation`, against
  /// all captions of each picture, and `loss`, the mean cross-entropy of a word of the loader's captions (without
  /// smoothing and the terms beside).
  std::vector<vit::Metric> evaluate() override;
  std::vector<std::string> metric_names() const override;
  /// Teacher forcing on the pictures' captions.
  bool probe(vit::Context& ctx, int64_t pictures) override;
  std::map<std::string, std::string> checkpoint_files() override { return files_; }

 private:
  vit::Tensor own_words(vit::Context& ctx, const vit::Var& encoded, const CaptionBatch& captions) const;
  vit::Var coverage_loss(vit::Context& ctx, const CaptionBatch& captions);
  vit::Var draw_loss(vit::Context& ctx, const CaptionBatch& captions, const vit::Tensor& logits);

  CaptionModel& model_;
  const Tokenizer& tokenizer_;
  CaptionLossConfig config_;
  CaptionValidation validation_;
  std::map<std::string, std::string> files_;
  double progress_ = 0.0;
  std::vector<std::function<void()>> stop_listening_;
  std::vector<vit::Var> weights_;       ///< of this pass, in the order of the words
  std::vector<vit::HardSample> draws_;  ///< of this pass, in the order of the words
  vit::Parameter* baseline_ = nullptr;  ///< the model's, [2]: the moving average, and whether it has begun
};

}  // namespace captioning
