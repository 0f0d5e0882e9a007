// Nystrom attention (Xiong et al. 2021, "Nystromformer", section 3): the N x N matrix of probabilities is approximated
// from its columns and rows at a few landmarks, the means of segments of the sequence.
#include <algorithm>
#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/map_ops.h"
#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/parallel.h"
#include "vit/nn/linear.h"

namespace vit {

namespace {

struct NystromOptions {
  int64_t landmarks = 64;
  int64_t iterations = 6;
  int64_t conv_kernel = 0;
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("landmarks", landmarks, "Segments whose means stand for the sequence; with no more tokens attention is exact.",
      between(1, 1 << 16));
    v("iterations", iterations, "Steps towards the pseudo-inverse.", between(0, 64));
    v("conv_kernel", conv_kernel,
      "Extent of a convolution of the values along the tokens, per head, added to the "
      "output (33 in the paper); 0: none.",
      between(0, 1023));
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
  void validate() const {
    if (conv_kernel > 0 && conv_kernel % 2 == 0) fail_usage("conv_kernel must be odd, got ", conv_kernel);
  }
};

/// Row i of [landmarks, tokens] takes the mean of the i-th of nearly equal segments.
Tensor segment_means(int64_t landmarks, int64_t tokens) {
  Tensor means = Tensor::zeros({landmarks, tokens});
  for (int64_t i = 0; i < landmarks; ++i) {
    const Range segment = part_range(tokens, landmarks, i);
    std::fill(means.f32() + i * tokens + segment.begin, means.f32() + i * tokens + segment.end,
              1.0f / static_cast<float>(segment.end - segment.begin));
  }
  return means;
}

/// factor * identity - x, for square matrices x [..., m, m].
Var identity_minus(Context& ctx, float factor, const Var& x) {
  const int64_t size = x.size(-1);
  Tensor identity = Tensor::zeros({size, size});
  for (int64_t i = 0; i < size; ++i) identity.f32()[i * size + i] = factor;
  return subtract(ctx, identity, x);
}

/// The Moore-Penrose inverse of each matrix of probabilities a [B, H, m, m] (Razavi et al. 2014; section 3.3, eq. 11):
/// z <- z (13 I - a z (15 I - a z (7 I - a z))) / 4, from a^T over its largest row and column sums.
Var pseudo_inverse(Context& ctx, const Var& a, int64_t iterations) {
  // Rows sum to 1, so what is left of |a|_1 |a|_inf is the largest column sum.
  const Var largest = amax(ctx, sum(ctx, a, {-2}, true), {-1}, true);
  Var z = divide(ctx, permute(ctx, a, {0, 1, 3, 2}), largest);
  for (int64_t i = 0; i < iterations; ++i) {
    const Var az = matmul(ctx, a, z);
    const Var inner = identity_minus(ctx, 15.0f, matmul(ctx, az, identity_minus(ctx, 7.0f, az)));
    z = matmul(ctx, z, identity_minus(ctx, 13.0f, matmul(ctx, az, inner)), {.scale = 0.25f});
  }
  return z;
}

class NystromAttention : public Attention {
 public:
  using Options = NystromOptions;
  NystromAttention(const AttentionShape& shape, const NystromOptions& options)
      : dim_(shape.dim),
        heads_(shape.num_heads),
        head_dim_(head_dim_of(shape)),
        options_(options),
        qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
        proj_(shape.dim, shape.dim, options.proj_bias) {
    add_module("qkv", qkv_);
    add_module("proj", proj_);
    const float bound = 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(1, options.conv_kernel)));
    if (options.conv_kernel > 0)
      add_parameter("conv.weight", conv_, {heads_, 1, options.conv_kernel, 1}, Init::uniform(bound));
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    refuse_bias("nystrom", input);
    const Var qkv = qkv_.forward(ctx, x);
    const Var asking = asking_tokens(ctx, qkv, input);
    Var mixed = x.size(1) <= options_.landmarks ? exact(ctx, asking, qkv) : approximate(ctx, asking, qkv);
    if (conv_.value.defined()) mixed = add(ctx, mixed, asking_tokens(ctx, convolved_values(ctx, qkv), input));
    return proj_.forward(ctx, mixed, input.residual);
  }

 private:
  AttentionOptions attention_options() const {
    return {
        .heads = heads_, .head_dim = head_dim_, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_)), .bias = {}};
  }
  Var exact(Context& ctx, const Var& asking, const Var& qkv) const {
    return observed_attention(ctx, {asking, 0}, {qkv, dim_}, {qkv, 2 * dim_}, attention_options());
  }

  /// softmax(q k~^T) pinv(softmax(q~ k~^T)) softmax(q~ k^T) v, from the right: N x m matrices exist in tiles only.
  Var approximate(Context& ctx, const Var& asking, const Var& qkv) const {
    const AttentionOptions options = attention_options();
    const Var means = segment_means(options_.landmarks, qkv.size(1));
    const Var marks = matmul(ctx, means, slice_features(ctx, qkv, 0, 2 * dim_));  // [B, m, q~ | k~]
    const Var at_marks =
        matmul(ctx, split_heads(ctx, {marks, 0}, heads_, head_dim_), split_heads(ctx, {marks, dim_}, heads_, head_dim_),
               {.transpose_b = true, .scale = options.scale});
    const Var inverse = pseudo_inverse(ctx, softmax(ctx, at_marks), options_.iterations);
    if (ctx.wants("probs")) observe_probs(ctx, asking, qkv, marks, inverse);
    const Var gathered = attention(ctx, {marks, 0}, {qkv, dim_}, {qkv, 2 * dim_}, options);
    const Var spread = merge_heads(ctx, matmul(ctx, inverse, split_heads(ctx, {gathered, 0}, heads_, head_dim_)));
    return attention(ctx, {asking, 0}, {marks, dim_}, {spread, 0}, options);
  }

  void observe_probs(Context& ctx, const Var& asking, const Var& qkv, const Var& marks, const Var& inverse) const {
    const AttentionOptions options = attention_options();
    const Tensor left = attention_probs(ctx, {asking.value(), 0}, {marks.value(), dim_}, options);
    const Tensor right = attention_probs(ctx, {marks.value(), 0}, {qkv.value(), dim_}, options);
    ctx.observe("probs", matmul(ctx, matmul(ctx, left, inverse.value()), right).value());
  }

  /// A depthwise convolution of the values along the tokens, one filter per head (section 3.3, "skip connection").
  Var convolved_values(Context& ctx, const Var& qkv) const {
    const int64_t kernel = options_.conv_kernel, reach = kernel / 2;
    const Var values = reshape(ctx, slice_features(ctx, qkv, 2 * dim_, 3 * dim_), {qkv.size(0), qkv.size(1), 1, dim_});
    Tensor head_of = Tensor::empty({dim_}, DType::i64);
    for (int64_t c = 0; c < dim_; ++c) head_of.data<int64_t>()[c] = c / head_dim_;
    const Var filters = embedding(ctx, reshape(ctx, conv_.value, {heads_, kernel}), head_of);  // [C, kernel]
    const Var y = conv2d(ctx, pad_map(ctx, values, {.top = reach, .bottom = reach}), {filters, PackedWeight()}, {},
                         {.kernel_h = kernel, .kernel_w = 1, .groups = dim_});
    return reshape(ctx, y, {qkv.size(0), qkv.size(1), dim_});
  }

  int64_t dim_, heads_, head_dim_;
  NystromOptions options_;
  Linear qkv_, proj_;
  Parameter conv_;
};

}  // namespace

VITKIT_REGISTER_ATTENTION(
    "nystrom", NystromAttention, .family = AttentionFamily::spatial,
    .summary = "self-attention approximated from a few landmarks",
    .formula = "softmax(q k~^T) pinv(softmax(q~ k~^T)) softmax(q~ k^T) v, q~ and k~ segment means",
    .source = "Xiong et al. 2021, Nystromformer, eq. 13", .complexity = "O(N m C), m landmarks");

}  // namespace vit
