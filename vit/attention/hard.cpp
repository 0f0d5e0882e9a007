#include "vit/attention/hard.h"

#include <algorithm>
#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/tape.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/rng.h"

namespace vit {

const EnumNames<HardEstimator>& enum_names(HardEstimator) {
  static const EnumNames<HardEstimator> names = {{HardEstimator::reinforce, "reinforce"},
                                                 {HardEstimator::gumbel, "gumbel"}};
  return names;
}

const EnumNames<HardInference>& enum_names(HardInference) {
  static const EnumNames<HardInference> names = {{HardInference::expectation, "expectation"},
                                                 {HardInference::argmax, "argmax"}};
  return names;
}

namespace {

/// Added to probabilities before their logarithm: what cannot be drawn has 0.
constexpr float kTiny = 1e-20f;

/// The largest of each row of [B, 1, T, M], the first where several are: [B, T].
Tensor largest_entries(const Tensor& rows) {
  const int64_t entries = rows.size(3);
  Tensor index = Tensor::empty({rows.size(0), rows.size(2)}, DType::i64);
  for (int64_t row = 0; row < index.numel(); ++row) {
    const float* of_row = rows.f32() + row * entries;
    index.data<int64_t>()[row] = std::max_element(of_row, of_row + entries) - of_row;
  }
  return index;
}

/// One entry of each row of probabilities [B, 1, T, M]: [B, T].
Tensor drawn_entries(const Tensor& probabilities, Rng& rng) {
  const int64_t entries = probabilities.size(3);
  Tensor index = Tensor::empty({probabilities.size(0), probabilities.size(2)}, DType::i64);
  for (int64_t row = 0; row < index.numel(); ++row) {
    const float* of_row = probabilities.f32() + row * entries;
    float left = rng.uniform();
    int64_t entry = 0, last = 0;  // rounding may leave a rest behind the last entry that has a probability
    for (; entry < entries && left >= 0.0f; ++entry) {
      if (of_row[entry] <= 0.0f) continue;
      last = entry;
      left -= of_row[entry];
    }
    index.data<int64_t>()[row] = last;
  }
  return index;
}

/// 1 at each row's entry: [B, 1, T, entries].
Tensor one_hot(const Tensor& index, int64_t entries) {
  Tensor rows = Tensor::zeros({index.size(0), 1, index.size(1), entries});
  for (int64_t row = 0; row < index.numel(); ++row) rows.f32()[row * entries + index.data<int64_t>()[row]] = 1.0f;
  return rows;
}

/// The values of one tensor with the gradient of another (Bengio et al. 2013, straight-through).
Var straight_through(Context& ctx, const Tensor& values, const Var& gradient_of) {
  if (!ctx.tape || !gradient_of.requires_grad()) return values;
  return ctx.tape->record(values, {gradient_of}, [gradient_of](Tape& tape, const Tensor& d_values) {
    tape.accumulate(gradient_of, d_values);
  });
}

/// weights [B, 1, T, M] on memory [B, M, Cm] -> [B, T, Cm]
Var weighted(Context& ctx, const Var& weights, const Var& memory) {
  return matmul(ctx, reshape(ctx, weights, {weights.size(0), weights.size(2), weights.size(3)}), memory);
}

}  // namespace

HardAttention::HardAttention(const AttentionShape& shape, const HardAttentionOptions& options)
    : options_(options),
      memory_dim_(shape.memory_dim),
      score_(shape.dim, source_dim(shape), options.attention_dim > 0 ? options.attention_dim : shape.dim),
      proj_(source_dim(shape), shape.dim, options.proj_bias) {
  add_module("", score_);
  add_module("proj", proj_);
}

Var HardAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Var memory = memory_of(x, input, memory_dim_);
  const Var scores = with_memory_bias(ctx, score_.forward(ctx, asking_tokens(ctx, x, input), memory), input, memory);
  ctx.observe("scores", scores.value());
  return proj_.forward(ctx, look(ctx, scores, memory), input.residual);
}

Var HardAttention::look(Context& ctx, const Var& scores, const Var& memory) const {
  const Var weights = softmax(ctx, scores);
  ctx.observe("probs", weights.value());
  tell_weights(ctx, weights);
  if (ctx.training)
    return options_.estimator == HardEstimator::reinforce ? draw(ctx, weights, memory)
                                                          : draw_gumbel(ctx, scores, memory);
  if (options_.inference == HardInference::expectation) return weighted(ctx, weights, memory);
  return gather_tokens(ctx, memory, largest_entries(weights.value()));
}

Var HardAttention::draw(Context& ctx, const Var& weights, const Var& memory) const {
  if (ctx.tape && !listener_)
    fail_usage(
        "attention 'hard': estimator: reinforce needs a trainer that listens to its draws and adds reinforce_loss(); "
        "without one the scores are not trained. Set estimator: gumbel");
  if (!ctx.tape && listener_)
    fail_usage(
        "attention 'hard': a draw that is listened to needs a tape, or its probability has no gradient; with "
        "estimator: reinforce gradient checkpointing must be off");
  Rng rng(ctx.seed, ctx.next_random_stream());
  const Tensor index = drawn_entries(weights.value(), rng);
  if (listener_) {
    const Shape rows{weights.size(0), weights.size(2)};
    const Var probability = sum(ctx, multiply(ctx, weights, one_hot(index, weights.size(3))), {-1});
    const Var logarithms = log(ctx, shift(ctx, weights, kTiny));
    const Var negative_entropy = sum(ctx, multiply(ctx, weights, logarithms), {-1});
    listener_({.index = index,
               .log_prob = reshape(ctx, log(ctx, probability), rows),
               .entropy = reshape(ctx, scale(ctx, negative_entropy, -1.0f), rows)});
  }
  return gather_tokens(ctx, memory, index);
}

Var HardAttention::draw_gumbel(Context& ctx, const Var& scores, const Var& memory) const {
  Rng rng(ctx.seed, ctx.next_random_stream());
  Tensor noise = ctx.arena.empty(scores.shape());
  for (float& g : noise.span<float>()) g = -std::log(-std::log(std::max(rng.uniform(), kTiny)) + kTiny);
  const Var soft = softmax(ctx, scale(ctx, add(ctx, scores, noise), 1.0f / options_.temperature));
  const Tensor hard = one_hot(largest_entries(soft.value()), scores.size(3));
  return weighted(ctx, straight_through(ctx, hard, soft), memory);
}

void MovingBaseline::update(double reward) {
  value_ = started_ ? decay_ * value_ + (1.0 - decay_) * reward : reward;
  started_ = true;
}

Var reinforce_loss(Context& ctx, const HardSample& sample, const Tensor& reward, double baseline,
                   const ReinforceOptions& options) {
  const int64_t batch = sample.log_prob.size(0);
  check(reward.shape() == Shape{batch}, "reinforce_loss: the reward must be [", batch, "], got ", reward.shape());
  Tensor advantage = Tensor::empty({batch, 1});
  for (int64_t b = 0; b < batch; ++b)
    advantage.f32()[b] = options.reward_weight * static_cast<float>(static_cast<double>(reward.f32()[b]) - baseline);
  const Var gain =
      add(ctx, multiply(ctx, sample.log_prob, advantage), scale(ctx, sample.entropy, options.entropy_weight));
  return scale(ctx, sum(ctx, gain, {}), -1.0f / static_cast<float>(std::max<int64_t>(1, batch)));
}

VITKIT_REGISTER_ATTENTION("hard", HardAttention, .family = AttentionFamily::decoder,
                          .summary = "each query looks at one entry of the memory, drawn from its probabilities",
                          .formula = "m_s, s ~ softmax(w^T tanh(W q_t + U m_j)); the mean at inference",
                          .source = "Xu et al. 2015, section 4.1; Jang et al. 2017", .complexity = "O(N M C)",
                          .equivariance = Equivariance::tokens);

}  // namespace vit
