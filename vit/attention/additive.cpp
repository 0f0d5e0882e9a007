// Additive attention (Bahdanau, Cho, Bengio 2015, "Neural machine translation by jointly learning to align and
// translate", section 3.1 and appendix A.1.2): a small network with one hidden layer scores each pair.
#include "vit/attention/memory.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/nn/linear.h"

namespace vit {

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

class AdditiveAttention : public Attention {
 public:
  using Options = AdditiveOptions;
  AdditiveAttention(const AttentionShape& shape, const AdditiveOptions& options)
      : memory_dim_(shape.memory_dim),
        hidden_(options.attention_dim > 0 ? options.attention_dim : shape.dim),
        query_(shape.dim, hidden_),
        key_(source_dim(shape), hidden_, false),
        score_(hidden_, 1, false),
        proj_(source_dim(shape), shape.dim, options.proj_bias) {
    add_module("query", query_);
    add_module("key", key_);
    add_module("score", score_);
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var memory = memory_of(x, input, memory_dim_);
    const Var asking = asking_tokens(ctx, x, input);
    const int64_t batch = x.size(0), queries = asking.size(1), entries = memory.size(1);
    const Var q = reshape(ctx, query_.forward(ctx, asking), {batch, queries, 1, hidden_});
    const Var k = reshape(ctx, key_.forward(ctx, memory), {batch, 1, entries, hidden_});
    const Var hidden = activate(ctx, add(ctx, q, k), Activation::tanh);  // [B, T, M, A]
    Var scores = reshape(ctx, score_.forward(ctx, hidden), {batch, 1, queries, entries});
    const Var bias = memory_bias(ctx, single_head(ctx, input, queries), memory);
    if (bias.defined()) scores = add(ctx, scores, bias);
    ctx.observe("scores", scores.value());
    const Var weights = softmax(ctx, scores);
    ctx.observe("probs", weights.value());
    const Var context = matmul(ctx, reshape(ctx, weights, {batch, queries, entries}), memory);
    return proj_.forward(ctx, context, input.residual);
  }

 private:
  static int64_t source_dim(const AttentionShape& shape) { return shape.memory_dim > 0 ? shape.memory_dim : shape.dim; }

  int64_t memory_dim_, hidden_;
  Linear query_, key_, score_, proj_;
};

}  // namespace

VITKIT_REGISTER_ATTENTION("additive", AdditiveAttention, .family = AttentionFamily::decoder,
                          .summary = "a small network scores each query against each entry of the memory",
                          .formula = "softmax(w^T tanh(W q_t + U m_j)) m",
                          .source = "Bahdanau et al. 2015, section 3.1", .complexity = "O(N M C)",
                          .equivariance = Equivariance::tokens);

}  // namespace vit
