#include "captioning/caption_task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "captioning/caption_metrics.h"
#include "captioning/caption_text.h"
#include "vit/attention/attention_weights.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/check.h"
#include "vit/core/rng.h"

namespace captioning {

using vit::Context;
using vit::Tensor;
using vit::Var;

namespace {

/// log softmax(logits)[target]
double log_probability(const float* logits, int64_t count, int64_t target) {
  const float largest = *std::max_element(logits, logits + count);
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i] - largest));
  return static_cast<double>(logits[target] - largest) - std::log(sum);
}

/// A number drawn from softmax(logits).
int64_t draw(const float* logits, int64_t count, vit::Rng& rng) {
  const float largest = *std::max_element(logits, logits + count);
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i] - largest));
  double left = static_cast<double>(rng.uniform()) * sum;
  for (int64_t i = 0; i < count; ++i) {
    left -= std::exp(static_cast<double>(logits[i] - largest));
    if (left < 0.0) return i;
  }
  return std::max_element(logits, logits + count) - logits;  // what rounding left over
}

/// The mask as a factor: [B, 1, T, 1] or [B, T].
Tensor factors(const Tensor& mask, const vit::Shape& shape) {
  Tensor result = Tensor::empty(shape);
  for (int64_t i = 0; i < mask.numel(); ++i) result.f32()[i] = static_cast<float>(mask.data<int64_t>()[i]);
  return result;
}

int64_t words_of(const Tensor& mask, int64_t row) {
  const int64_t* begin = mask.data<int64_t>() + row * mask.size(1);
  return std::count_if(begin, begin + mask.size(1), [](int64_t one) { return one != 0; });
}

/// Rewards: the mean log probability of each caption's words, [B].
Tensor mean_log_probabilities(const Tensor& logits, const CaptionBatch& captions) {
  const int64_t batch = logits.size(0), length = logits.size(1), vocabulary = logits.size(2);
  Tensor rewards = Tensor::zeros({batch});
  for (int64_t b = 0; b < batch; ++b) {
    double sum = 0.0;
    for (int64_t at = b * length; at < (b + 1) * length; ++at)
      if (captions.mask.data<int64_t>()[at] != 0)
        sum += log_probability(logits.f32() + at * vocabulary, vocabulary, captions.targets.data<int64_t>()[at]);
    rewards.f32()[b] = static_cast<float>(sum / static_cast<double>(words_of(captions.mask, b)));
  }
  return rewards;
}

/// Words behind each other until there are `words` of them: one tensor per layer that was asked. Errors: pieces of
/// another pass are among them.
std::vector<Var> whole_captions(Context& ctx, const std::vector<Var>& pieces, int64_t axis, int64_t words) {
  std::vector<Var> captions, waiting;
  int64_t seen = 0;
  for (const Var& piece : pieces) {
    waiting.push_back(piece);
    seen += piece.size(static_cast<int>(axis));
    if (seen < words) continue;
    captions.push_back(waiting.size() == 1 ? waiting.front() : vit::concat(ctx, waiting, axis));
    waiting.clear();
    seen = 0;
  }
  vit::check(waiting.empty() && !captions.empty(), "captions: attention was seen for ", seen, " of ", words, " words");
  return captions;
}

}  // namespace

CaptionTask::CaptionTask(CaptionModel& model, const Tokenizer& tokenizer, const CaptionLossConfig& loss,
                         const CaptionValidation& validation, std::map<std::string, std::string> files)
    : model_(model), tokenizer_(tokenizer), config_(loss), validation_(validation), files_(std::move(files)) {
  if (tokenizer.size() > model.vocab_size())
    vit::fail_usage("the tokenizer has ", tokenizer.size(), " tokens, the model ", model.info().name, " knows ",
                    model.vocab_size());
  for (auto& [name, text] : tokenizer.files()) files_[name] = std::move(text);
  bool hears_weights = false, hears_draws = false;
  model.visit_modules([&](const std::string& name, vit::Module& module) {
    if (name.starts_with("backbone.")) return;  // what words look at is meant, not what patches do
    auto* source = dynamic_cast<vit::WeightsSource*>(&module);
    if (source && config_.doubly_stochastic > 0.0) {
      source->listen_to_weights([this](const Var& weights) { weights_.push_back(weights); });
      stop_listening_.emplace_back([source] { source->listen_to_weights(nullptr); });
      hears_weights = true;
    }
    auto* hard = dynamic_cast<vit::HardAttention*>(&module);
    if (hard && hard->estimator() == vit::HardEstimator::reinforce) {
      hard->listen([this](const vit::HardSample& sample) { draws_.push_back(sample); });
      stop_listening_.emplace_back([hard] { hard->listen(nullptr); });
      hears_draws = true;
    }
  });
  if (config_.doubly_stochastic > 0.0 && !hears_weights)
    vit::fail_usage(
        "doubly_stochastic needs an attention whose weights can be trained on (additive, multiplicative, "
        "cross, hard), and the model ",
        model.info().name, " has none; set it to 0");
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    if (name == "reward_baseline") baseline_ = &parameter;
  });
  if (hears_draws && !baseline_)
    vit::fail_usage("the model ", model.info().name,
                    " keeps no baseline for hard attention by REINFORCE; set its estimator to gumbel");
}

CaptionTask::~CaptionTask() {
  for (const std::function<void()>& stop : stop_listening_) stop();
}

vit::Module& CaptionTask::module() { return model_; }

Tensor CaptionTask::own_words(Context& ctx, const Var& encoded, const CaptionBatch& captions) const {
  const double probability = config_.scheduled_sampling * progress_;
  if (probability <= 0.0) return captions.ids;
  Context inner;  // without a tape, dropout and draws of attention
  const Var logits = model_.logits(inner, encoded.value(), captions.ids, captions.mask);
  vit::Rng rng(ctx.seed, ctx.next_random_stream());
  const int64_t length = captions.ids.size(1), vocabulary = logits.size(2);
  Tensor ids = captions.ids.clone();
  for (int64_t at = 0; at < ids.numel(); ++at) {
    if (at % length == 0 || captions.mask.data<int64_t>()[at] == 0) continue;
    if (static_cast<double>(rng.uniform()) >= probability) continue;
    ids.data<int64_t>()[at] = draw(logits.value().f32() + (at - 1) * vocabulary, vocabulary, rng);
  }
  return ids;
}

Var CaptionTask::coverage_loss(Context& ctx, const CaptionBatch& captions) {
  const int64_t batch = captions.mask.size(0), words = captions.mask.size(1);
  const Tensor mask = factors(captions.mask, {batch, 1, words, 1});
  const std::vector<Var> layers = whole_captions(ctx, std::exchange(weights_, {}), 2, words);
  Var total;
  for (const Var& weights : layers) {
    const Var attended = vit::sum(ctx, vit::multiply(ctx, weights, mask), {2});
    const Var missed = vit::square(ctx, vit::shift(ctx, vit::scale(ctx, attended, -1.0f), 1.0f));
    const Var loss = vit::reshape(ctx, vit::mean(ctx, missed, {}), {1});
    total = total.defined() ? vit::add(ctx, total, loss) : loss;
  }
  return vit::scale(ctx, total, static_cast<float>(config_.doubly_stochastic) / static_cast<float>(layers.size()));
}

Var CaptionTask::draw_loss(Context& ctx, const CaptionBatch& captions, const Tensor& logits) {
  const Tensor mask = factors(captions.mask, captions.mask.shape());
  const int64_t words = captions.mask.size(1);
  const std::vector<vit::HardSample> draws = std::exchange(draws_, {});
  std::vector<Var> log_probs, entropies;
  for (const vit::HardSample& sample : draws) {
    log_probs.push_back(sample.log_prob);
    entropies.push_back(sample.entropy);
  }
  const std::vector<Var> told = whole_captions(ctx, log_probs, 1, words),
                         spread = whole_captions(ctx, entropies, 1, words);
  const Tensor rewards = mean_log_probabilities(logits, captions);
  float* baseline = baseline_->value.value().f32();
  const vit::ReinforceOptions options{.reward_weight = static_cast<float>(config_.reward_weight),
                                      .entropy_weight = static_cast<float>(config_.entropy_weight)};
  double mean = 0.0;
  for (const float reward : rewards.span<float>())
    mean += static_cast<double>(reward) / static_cast<double>(rewards.numel());
  const double expected = baseline[1] > 0.0f ? static_cast<double>(baseline[0]) : mean;
  Var total;
  for (size_t i = 0; i < told.size(); ++i) {
    const vit::HardSample sample{
        .index = {}, .log_prob = vit::multiply(ctx, told[i], mask), .entropy = vit::multiply(ctx, spread[i], mask)};
    const Var loss = vit::reshape(ctx, vit::reinforce_loss(ctx, sample, rewards, expected, options), {1});
    total = total.defined() ? vit::add(ctx, total, loss) : loss;
  }
  if (ctx.update_statistics) {
    baseline[0] = static_cast<float>(config_.baseline_decay * expected + (1.0 - config_.baseline_decay) * mean);
    baseline[1] = 1.0f;
  }
  return vit::scale(ctx, total, static_cast<float>(mask.size(0)) / static_cast<float>(captions.words()));
}

Var CaptionTask::loss(Context& ctx, const vit::Batch& batch) {
  vit::check(static_cast<int64_t>(batch.captions.size()) == batch.size(), "captions: ", batch.captions.size(),
             " captions for ", batch.size(), " pictures");
  CaptionBatch captions = make_caption_batch(tokenizer_, batch.captions, model_, config_.max_tokens);
  const Var encoded = model_.encode(ctx, batch.images);
  captions.ids = own_words(ctx, encoded, captions);
  weights_.clear();
  draws_.clear();
  const Var logits = model_.logits(ctx, encoded, captions.ids, captions.mask);
  Var loss = caption_loss(ctx, logits, captions.targets, static_cast<float>(config_.label_smoothing));
  if (!weights_.empty()) loss = vit::add(ctx, loss, coverage_loss(ctx, captions));
  if (!draws_.empty()) loss = vit::add(ctx, loss, draw_loss(ctx, captions, logits.value()));
  return loss;
}

std::vector<std::string> CaptionTask::metric_names() const {
  if (!validation_.batches) return {};
  std::vector<std::string> names;
  for (const auto& [name, value] : CaptionScores().figures()) names.emplace_back(name);
  names.emplace_back("loss");
  return names;
}

std::vector<vit::Metric> CaptionTask::evaluate() {
  if (!validation_.batches) return {};
  const datasets::CaptionDataset& data = *validation_.data;
  std::vector<std::string> written;
  std::vector<std::vector<std::string>> references;
  double loss = 0.0, words = 0.0;
  Context ctx;
  vit::Batch batch;
  validation_.batches->start(0, 0);
  while (validation_.batches->next(batch)) {
    const Tensor encoded = model_.encode(ctx, batch.images).value();
    const CaptionBatch captions = make_caption_batch(tokenizer_, batch.captions, model_, config_.max_tokens);
    const Var logits = model_.logits(ctx, encoded, captions.ids, captions.mask);
    const auto count = static_cast<double>(captions.words());
    loss += count * static_cast<double>(caption_loss(ctx, logits, captions.targets).value().f32()[0]);
    words += count;
    const auto sequences = generate(ctx, model_, encoded, {}, validation_.generation);
    for (size_t b = 0; b < sequences.size(); ++b) {
      written.push_back(caption_text(tokenizer_, model_, sequences[b].at(0).ids));
      references.push_back(data.captions(batch.pictures.at(b)));
    }
  }
  vit::check(!written.empty(), "evaluate: there is no readable picture in the validation data");
  std::vector<vit::Metric> metrics;
  for (const auto& [name, value] : caption_metrics(written, references).corpus.figures())
    metrics.emplace_back(name, value);
  metrics.emplace_back("loss", loss / words);
  return metrics;
}

bool CaptionTask::probe(Context& ctx, int64_t pictures) {
  if (!validation_.batches) return false;
  vit::Batch batch;
  int64_t seen = 0;
  validation_.batches->start(0, 0);
  while (seen < pictures && validation_.batches->next(batch)) {
    const vit::Batch part = batch.first(std::min(batch.size(), pictures - seen));
    const CaptionBatch captions = make_caption_batch(tokenizer_, part.captions, model_, config_.max_tokens);
    const Var encoded = model_.encode(ctx, part.images);
    static_cast<void>(model_.logits(ctx, encoded, captions.ids, captions.mask));
    seen += part.size();
  }
  return seen > 0;
}

}  // namespace captioning
