// Multiplicative attention (Luong, Pham, Manning 2015, "Effective approaches to attention-based neural machine
// translation", section 3.1): a product scores each pair.
#include <optional>

#include "vit/attention/attention_weights.h"
#include "vit/attention/memory.h"
#include "vit/nn/linear.h"

namespace vit {

namespace {

enum class ProductScore {
  dot,      ///< q_t^T m_j
  general,  ///< q_t^T W m_j
};
const EnumNames<ProductScore>& enum_names(ProductScore) {
  static const EnumNames<ProductScore> names = {{ProductScore::dot, "dot"}, {ProductScore::general, "general"}};
  return names;
}

struct MultiplicativeOptions {
  ProductScore score = ProductScore::general;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("score", score, "What is multiplied: query and entry themselves, or with a learned matrix between them.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

class MultiplicativeAttention : public Attention, public WeightsSource {
 public:
  using Options = MultiplicativeOptions;
  /// Errors (usage): `dot` where queries and memory differ in width.
  MultiplicativeAttention(const AttentionShape& shape, const MultiplicativeOptions& options)
      : memory_dim_(shape.memory_dim), source_(source_dim(shape)), proj_(source_, shape.dim, options.proj_bias) {
    if (options.score == ProductScore::general)
      add_module("score", score_.emplace(shape.dim, source_, false));
    else if (source_ != shape.dim)
      fail_usage("attention 'multiplicative': score 'dot' needs queries and memory of one width, got ", shape.dim,
                 " and ", source_, "; use score: general");
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const Var memory = memory_of(x, input, memory_dim_);
    const Var asking = asking_tokens(ctx, x, input);
    const Var q = score_ ? score_->forward(ctx, asking) : asking;
    const AttentionOptions options{
        .heads = 1, .head_dim = source_, .scale = 1.0f, .bias = memory_bias(ctx, input, memory)};
    return proj_.forward(ctx, told_attention(ctx, {q, 0}, {memory, 0}, {memory, 0}, options), input.residual);
  }

 private:
  int64_t memory_dim_, source_;
  std::optional<Linear> score_;
  Linear proj_;
};

}  // namespace

VITKIT_REGISTER_ATTENTION("multiplicative", MultiplicativeAttention, .family = AttentionFamily::decoder,
                          .summary = "a product scores each query against each entry of the memory",
                          .formula = "softmax(q_t^T W m_j) m", .source = "Luong et al. 2015, section 3.1, eq. 8",
                          .complexity = "O(N M C)", .equivariance = Equivariance::tokens);

}  // namespace vit
