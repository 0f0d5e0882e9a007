#include "captioning/explain_subject.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "captioning/model.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/check.h"
#include "vit/core/softmax.h"

namespace captioning {

using vit::Tensor;
using vit::Var;

CaptionSubject::CaptionSubject(std::shared_ptr<const vit::ExplainedModel> model, AskedWords words)
    : model_(std::move(model)), words_(std::move(words)) {
  if (!dynamic_cast<const CaptionModel*>(&model_->fast()))
    vit::fail_usage(model_->fast().info().name, " is no captioner");
  vit::check(!words_.pieces.empty(), "explain: no words are asked about");
  for (const size_t at : words_.pieces)
    vit::check(at > 0 && at < words_.ids.size(), "explain: there is no piece ", at, " among ", words_.ids.size());
}

const CaptionModel& CaptionSubject::captioner() const { return dynamic_cast<const CaptionModel&>(model()); }

Var CaptionSubject::run(vit::Context& ctx, const Var& pixels) const {
  const auto& model = dynamic_cast<const CaptionModel&>(model_->for_context(ctx));
  const int64_t batch = pixels.size(0), steps = static_cast<int64_t>(words_.ids.size()) - 1;
  Tensor ids = Tensor::empty({batch, steps}, vit::DType::i64);
  for (int64_t b = 0; b < batch; ++b) std::copy_n(words_.ids.begin(), steps, ids.data<int64_t>() + b * steps);
  return model.logits(ctx, model.encode(ctx, pixels), ids, {});
}

Var CaptionSubject::objective(vit::Context& ctx, const Var& pixels) const {
  const Var logits = run(ctx, pixels);
  Var total;
  for (const size_t at : words_.pieces) {
    const Var word = vit::select_token(ctx, logits, static_cast<int64_t>(at) - 1);
    const Var logit = vit::slice_features(ctx, word, words_.ids[at], words_.ids[at] + 1);
    total = total.defined() ? vit::add(ctx, total, logit) : logit;
  }
  return vit::reshape(ctx, vit::scale(ctx, total, 1.0f / static_cast<float>(words_.pieces.size())), {pixels.size(0)});
}

std::vector<double> CaptionSubject::scores(const Tensor& pixels) const {
  vit::Context ctx;
  const Tensor logits = run(ctx, pixels).value();
  const int64_t steps = logits.size(1), words = logits.size(2);
  std::vector<double> scores;
  for (int64_t b = 0; b < pixels.size(0); ++b) {
    double sum = 0.0;
    for (const size_t at : words_.pieces) {
      const float* row = logits.f32() + (b * steps + static_cast<int64_t>(at) - 1) * words;
      sum += vit::SoftmaxRow(row, words).log_probability(words_.ids[at]);
    }
    scores.push_back(std::exp(sum / static_cast<double>(words_.pieces.size())));
  }
  return scores;
}

const std::vector<std::string>& CaptionSubject::offers() const {
  return model_->offers([this](vit::Context& ctx, const Tensor& pixels) { static_cast<void>(run(ctx, pixels)); });
}

vit::AttentionRole CaptionSubject::role_of(const std::string& module) const {
  for (int64_t layer = 0; layer < captioner().attention_layers(); ++layer)
    if (captioner().word_attention(layer).name == module + ".probs") return vit::AttentionRole::cross;
  return module.starts_with("decoder") ? vit::AttentionRole::queries : vit::AttentionRole::picture;
}

std::optional<vit::TokenLayout> CaptionSubject::layout_of(const std::string& module) const {
  for (int64_t layer = 0; layer < captioner().attention_layers(); ++layer) {
    const WordAttention words = captioner().word_attention(layer);
    if (words.name != module + ".probs") continue;
    if (words.grids.size() != 1) return std::nullopt;  // see attention_refusal
    return vit::TokenLayout{
        .prefix = words.prefix_tokens, .rows = words.grids[0].height, .columns = words.grids[0].width};
  }
  return std::nullopt;
}

std::string CaptionSubject::attention_refusal() const {
  const size_t maps = captioner().word_attention(captioner().attention_layers() - 1).grids.size();
  if (maps == 1) return "";
  return vit::str("its words look at ", maps, " maps at once, which no single grid shows (vitkit caption --attention ",
                  "draws them)");
}

std::vector<double> CaptionSubject::readout(vit::AttentionRole role, int64_t tokens,
                                            const vit::TokenLayout& layout) const {
  if (role == vit::AttentionRole::picture) return Subject::readout(role, tokens, layout);
  std::vector<double> weights(static_cast<size_t>(tokens), 0.0);
  for (const size_t at : words_.pieces) weights[at - 1] += 1.0 / static_cast<double>(words_.pieces.size());
  return weights;
}

std::unique_ptr<vit::Subject> CaptionSubject::randomized(uint64_t seed) const {
  return std::make_unique<CaptionSubject>(model_->randomized(seed), words_);
}

}  // namespace captioning
