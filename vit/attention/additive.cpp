#include "vit/attention/additive.h"

#include "vit/attention/attention_weights.h"
#include "vit/attention/memory.h"
#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

AdditiveScore::AdditiveScore(int64_t query_dim, int64_t memory_dim, int64_t hidden)
    : hidden_(hidden), query_(query_dim, hidden), key_(memory_dim, hidden, false), score_(hidden, 1, false) {
  add_module("query", query_);
  add_module("key", key_);
  add_module("score", score_);
}

Var AdditiveScore::forward(Context& ctx, const Var& queries, const Var& memory) const {
  const int64_t batch = queries.size(0), asking = queries.size(1), entries = memory.size(1);
  const Var q = reshape(ctx, query_.forward(ctx, queries), {batch, asking, 1, hidden_});
  const Var k = reshape(ctx, key_.forward(ctx, memory), {batch, 1, entries, hidden_});
  const Var hidden = activate(ctx, add(ctx, q, k), Activation::tanh);
  return reshape(ctx, score_.forward(ctx, hidden), {batch, 1, asking, entries});
}

namespace {

struct AdditiveOptions {
  int64_t attention_dim = 0;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("attention_dim", attention_dim, "Hidden width of the scoring network; 0: the tokens' width.",
      between(0, 1 << 16));
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

class AdditiveAttention : public Attention, public WeightsSource {
 public:
  using Options = AdditiveOptions;
  AdditiveAttention(const AttentionShape& shape, const AdditiveOptions& options)
      : memory_dim_(shape.memory_dim),
        score_(shape.dim, source_dim(shape), options.attention_dim > 0 ? options.attention_dim : shape.dim),
        proj_(source_dim(shape), shape.dim, options.proj_bias) {
    add_module("", score_);
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var memory = memory_of(x, input, memory_dim_);
    const Var asking = asking_tokens(ctx, x, input);
    const Var scores = with_memory_bias(ctx, score_.forward(ctx, asking, memory), input, memory);
    ctx.observe("scores", scores.value());
    const Var weights = observed(ctx, "probs", softmax(ctx, scores));
    tell_weights(ctx, weights);
    const Var rows = reshape(ctx, weights, {x.size(0), asking.size(1), memory.size(1)});
    return proj_.forward(ctx, matmul(ctx, rows, memory), input.residual);
  }

 private:
  int64_t memory_dim_;
  AdditiveScore score_;
  Linear proj_;
};

}  // namespace

VITKIT_REGISTER_ATTENTION("additive", AdditiveAttention, .family = AttentionFamily::decoder,
                          .summary = "a small network scores each query against each entry of the memory",
                          .formula = "softmax(w^T tanh(W q_t + U m_j)) m",
                          .source = "Bahdanau et al. 2015, section 3.1", .complexity = "O(N M C)",
                          .equivariance = Equivariance::tokens);

}  // namespace vit
