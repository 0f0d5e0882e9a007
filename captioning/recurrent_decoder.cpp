#include "captioning/recurrent_decoder.h"

#include "captioning/fan_in.h"
#include "captioning/region_captioner.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/check.h"

namespace captioning {

using vit::Activation;
using vit::Context;
using vit::Scope;
using vit::Tensor;
using vit::Var;

namespace {

constexpr float kEmbeddingStd = 0.1f;
constexpr float kForgetBias = 1.0f;

/// Rows of one word each, one word behind the other: R times [R, F] -> [R, T, F].
Var behind_each_other(Context& ctx, const std::vector<Var>& words) {
  std::vector<Var> tokens;
  for (const Var& word : words) tokens.push_back(vit::reshape(ctx, word, {word.size(0), 1, word.size(1)}));
  return tokens.size() == 1 ? tokens.front() : vit::concat(ctx, tokens, 1);
}

}  // namespace

RecurrentDecoder::RecurrentDecoder(const RecurrentDecoderOptions& options)
    : options_(options),
      init_(options.region_dim, 2 * options.hidden_dim, true, fan_in(options.region_dim)),
      gate_(options.hidden_dim, 1, true, fan_in(options.hidden_dim)),
      word_gates_(options.embed_dim, 4 * options.hidden_dim, true, fan_in(options.embed_dim)),
      state_gates_(2 * options.hidden_dim, 4 * options.hidden_dim, false, fan_in(2 * options.hidden_dim)),
      deep_(2 * options.hidden_dim, options.embed_dim, true, fan_in(2 * options.hidden_dim)),
      attention_(build_word_attention(
          options.attention,
          {.dim = options.hidden_dim, .num_heads = options.num_heads, .memory_dim = options.region_dim}, "additive")) {
  start_with_fan_in(*attention_);
  add_parameter("word_embeddings.weight", word_embeddings_, {options.vocab_size, options.embed_dim},
                vit::Init::normal(kEmbeddingStd));
  add_module("init", init_);
  add_module("gate", gate_);
  add_module("attn", *attention_);
  add_module("word_gates", word_gates_);
  add_module("state_gates", state_gates_);
  add_module("deep", deep_);
  add_module("output", output_.emplace(options.embed_dim, options.vocab_size, true, fan_in(options.embed_dim)));
}

std::vector<std::string> RecurrentDecoder::replace_vocabulary(int64_t vocab_size) {
  options_.vocab_size = vocab_size;
  word_embeddings_.shape = {vocab_size, options_.embed_dim};
  word_embeddings_.value = {};
  output_.emplace(options_.embed_dim, vocab_size, true, fan_in(options_.embed_dim));
  return {"word_embeddings.weight", "output.weight", "output.bias"};
}

RecurrentDecoder::State RecurrentDecoder::initial(Context& ctx, const Var& regions) const {
  const Var mean = vit::reduce_tokens(ctx, regions, 0, vit::Reduction::mean);
  const Var both = init_.forward(ctx, mean, {.activation = Activation::tanh});
  const int64_t dim = options_.hidden_dim;
  return {vit::slice_features(ctx, both, 0, dim), vit::slice_features(ctx, both, dim, 2 * dim)};
}

RecurrentDecoder::Look RecurrentDecoder::look(Context& ctx, const Var& hidden, const Var& regions,
                                              const std::vector<vit::Grid>& grids) const {
  const int64_t rows = hidden.size(0), groups = regions.size(0), dim = options_.hidden_dim;
  const bool wanted = ctx.wants("attn.probs");
  const Var queries = vit::reshape(ctx, hidden, {groups, rows / groups, dim});
  Tensor probs;
  const Var seen = looked(
      ctx, wanted, [&] { return attention_->forward(ctx, queries, {.memory = regions, .memory_grids = grids}); },
      probs);
  const Var share = vit::activate(ctx, gate_.forward(ctx, hidden), Activation::sigmoid);
  return {vit::multiply(ctx, vit::reshape(ctx, seen, {rows, dim}), share), by_row(probs, rows, 1)};
}

void RecurrentDecoder::advance(Context& ctx, const Var& word_gates, const Var& context, State& state) const {
  const int64_t dim = options_.hidden_dim;
  const Var inputs = vit::concat_features(ctx, state.hidden, context);
  const Var gates = state_gates_.forward(ctx, inputs, {.residual = word_gates});
  const auto part = [&](int64_t index) { return vit::slice_features(ctx, gates, index * dim, (index + 1) * dim); };
  const Var input = vit::activate(ctx, part(0), Activation::sigmoid);
  const Var forget = vit::activate(ctx, vit::shift(ctx, part(1), kForgetBias), Activation::sigmoid);
  const Var output = vit::activate(ctx, part(2), Activation::sigmoid);
  const Var news = vit::activate(ctx, part(3), Activation::tanh);
  state.cell = vit::add(ctx, vit::multiply(ctx, forget, state.cell), vit::multiply(ctx, input, news));
  state.hidden = vit::multiply(ctx, output, vit::activate(ctx, state.cell, Activation::tanh));
}

Var RecurrentDecoder::forward(Context& ctx, const Var& regions, const std::vector<vit::Grid>& grids, const Tensor& ids,
                              State& state) const {
  const int64_t rows = ids.size(0), count = ids.size(1);
  vit::check(state.hidden.size(0) == rows && rows % regions.size(0) == 0, "captions: ", rows, " rows for a state of ",
             state.hidden.size(0), " and ", regions.size(0), " groups of regions");
  const Var words = vit::dropout(ctx, vit::embedding(ctx, word_embeddings_.value, ids), options_.dropout);
  const Var word_gates = word_gates_.forward(ctx, words);
  std::vector<Var> answers, seen;
  for (int64_t t = 0; t < count; ++t) {
    const Look now = look(ctx, state.hidden, regions, grids);
    advance(ctx, vit::select_token(ctx, word_gates, t), now.context, state);
    answers.push_back(vit::concat_features(ctx, state.hidden, now.context));
    if (now.probs.defined()) seen.emplace_back(now.probs);
  }
  if (!seen.empty()) {
    Context plain;
    ctx.observe("attn.probs", seen.size() == 1 ? seen.front().value() : vit::concat(plain, seen, 2).value());
  }
  const Var deep =
      deep_.forward(ctx, vit::dropout(ctx, behind_each_other(ctx, answers), options_.dropout), {.residual = words});
  const Var chosen = vit::dropout(ctx, vit::activate(ctx, deep, Activation::tanh), options_.dropout);
  const Var logits = output_->forward(ctx, chosen);
  ctx.observe("logits", logits.value());
  return logits;
}

}  // namespace captioning
