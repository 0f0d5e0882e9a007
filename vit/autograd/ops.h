// The ops of the toolkit: coarse functions from Vars to Vars. Each states its shape contract, checks it once, and runs
// a kernel from the table in fixed parallel parts. Under a tape an op whose input needs a gradient also records what
// computes it (docs/autograd.md). Letters: B batch, N tokens, C channels, H heads, D head dimension, F output width, K
// classes, V rows of a table.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "vit/autograd/packed_weight.h"
#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/kernels/kernels.h"

namespace vit {

using kernels::Activation;

/// What a matrix product does to its result before storing it: y = residual + gamma * activation(x W^T + bias).
struct LinearOptions {
  Activation activation = Activation::none;
  Var gamma{};     ///< [F] layer scale; undefined: 1
  Var residual{};  ///< shape of the result; undefined: 0
  /// The activation comes last instead, y = activation(residual + gamma * (x W^T + bias)): a residual block's end.
  bool residual_first = false;
  /// Where nobody but these options holds the residual and nothing is recorded, its memory becomes the result's.
  bool overwrite_residual = false;
};

/// y = x W^T + b (Rumelhart, Hinton, Williams 1986; torch.nn.Linear). x [..., C], weight [F, C], bias [F] or undefined
/// -> [..., F]. Errors: shapes do not match.
Var linear(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const LinearOptions& options = {});

/// Normalises the last axis: (x - mean) / sqrt(var + eps) * weight + bias (Ba, Kiros, Hinton 2016). x [..., C]; weight
/// and bias [C] or undefined.
Var layer_norm(Context& ctx, const Var& x, const Var& weight, const Var& bias, float eps);

/// x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang, Sennrich 2019). x [..., C]; weight [C] or undefined.
Var rms_norm(Context& ctx, const Var& x, const Var& weight, float eps);

/// Running statistics of a batch norm, f32 [C] each; training writes to their memory.
struct RunningStatistics {
  Tensor mean, variance;
};

struct BatchNormOptions {
  float eps = 1e-5f;
  float momentum = 0.1f;  ///< share of the present batch in the running statistics
};

/// Normalises each channel over all other axes, (x - mean) / sqrt(var + eps) * weight + bias (Ioffe, Szegedy 2015;
/// torch.nn.BatchNorm2d). x [..., C]; weight and bias [C] or undefined. In training with the statistics of the batch,
/// which move the running ones (the variance unbiased) unless ctx.update_statistics is off; else with the running ones.
/// Errors: shapes do not match; training with a single value per channel, which has no variance.
Var batch_norm(Context& ctx, const Var& x, const Var& weight, const Var& bias, const RunningStatistics& running,
               const BatchNormOptions& options = {});

/// Normalises each of `groups` groups of neighbouring channels of a sample over its positions (Wu, He 2018;
/// torch.nn.GroupNorm with the channels last). x [B, ..., C]; weight and bias [C] or undefined. Errors: shapes do not
/// match, groups does not divide C.
Var group_norm(Context& ctx, const Var& x, const Var& weight, const Var& bias, int64_t groups, float eps);

/// Elementwise activation.
Var activate(Context& ctx, const Var& x, Activation activation);

/// Gated linear unit (Shazeer 2020, "GLU variants improve transformer"): x [..., 2F] = [gate | value] ->
/// f(gate) * value [..., F]; SwiGLU with f = silu.
Var gated_activation(Context& ctx, const Var& x, Activation activation);

/// Softmax over the last axis.
Var softmax(Context& ctx, const Var& x);

/// a + b, elementwise; axes of 1, and missing leading axes, are broadcast as NumPy does.
Var add(Context& ctx, const Var& a, const Var& b);

/// Mean of two tensors of one shape.
Var average(Context& ctx, const Var& a, const Var& b);

/// a * b, elementwise; broadcast as add().
Var multiply(Context& ctx, const Var& a, const Var& b);

/// factor * x.
Var scale(Context& ctx, const Var& x, float factor);

/// A factor per channel (layer scale: Touvron et al. 2021, CaiT, eq. 7): x [..., C] * gamma [C].
Var scale_channels(Context& ctx, const Var& x, const Var& gamma);

/// In training, each element is zero with probability p, and the others grow by 1 / (1 - p) (Srivastava et al. 2014);
/// else x itself. The draw depends on ctx.seed and the op's place in the pass. Errors: p outside [0, 1).
Var dropout(Context& ctx, const Var& x, float p);

/// residual + branch, where in training the branch of each sample is left out with probability p and the others grow by
/// 1 / (1 - p): stochastic depth (Huang et al. 2016; timm's DropPath). Errors: p outside [0, 1), shapes differ.
Var drop_path(Context& ctx, const Var& residual, const Var& branch, float p);

/// Rows of a table by number: table [V, C], indices i64 [...] -> [..., C]. Errors: an index outside [0, V).
Var embedding(Context& ctx, const Var& table, const Tensor& indices);

/// The same elements under another shape; shares the memory.
Var reshape(Context& ctx, const Var& x, const Shape& shape);

/// Columns [first, first + H * D) of a token tensor [B, N, *], read as H heads of D: queries, keys or values inside a
/// packed projection, without copying them apart.
struct HeadColumns {
  Var tokens;
  int64_t first = 0;
};

struct AttentionOptions {
  int64_t heads = 1;
  int64_t head_dim = 0;
  float scale = 0.0f;  ///< factor on q k^T, usually D^-0.5
  /// Added to the scores: [B or 1, H or 1, 1 or Nq (or more rows), Nk], the first axis may be left out; or undefined.
  /// -inf masks.
  Var bias{};
};

/// Exact scaled dot-product attention (Vaswani et al. 2017, section 3.2.1) by tiles with an online softmax (Milakov,
/// Gimelshein 2018; Dao et al. 2022): memory O(N). q [B, Nq, *], k and v [B, Nk, *] -> [B, Nq, H * D].
Var attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
              const AttentionOptions& options);

/// The probabilities of the same attention, for observers: [B, H, Nq, Nk]. Memory O(N^2), not differentiable.
Tensor attention_probs(Context& ctx, const HeadColumns& q, const HeadColumns& k, const AttentionOptions& options);

/// The scores that become them, scale * q k^T + bias: [B, H, Nq, Nk]. Memory O(N^2), not differentiable.
Tensor attention_scores(Context& ctx, const HeadColumns& q, const HeadColumns& k, const AttentionOptions& options);

/// Layer (or rms) normalisation of each head's vector inside `columns`, in place in inference: qk-norm (Dehghani et al.
/// 2023, "Scaling ViT to 22 billion parameters", section 2). weight and bias [D]; `rms` leaves the mean in.
Var head_norm(Context& ctx, const HeadColumns& columns, int64_t heads, int64_t head_dim, const Var& weight,
              const Var& bias, float eps, bool rms);

/// Splits an image into patches and projects them (Dosovitskiy et al. 2021, eq. 1), reading the image in place:
/// image [B, c, height, width], weight [C, c * patch_h * patch_w] -> [B, grid_h * grid_w, C]. Rows and columns that
/// fill no whole patch are ignored, as a strided convolution ignores them.
Var patch_embed(Context& ctx, const Var& image, const Weight& weight, const Var& bias, int64_t patch_h,
                int64_t patch_w);

struct Conv2dOptions {
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride = 1;
  int64_t padding = 0;  ///< zeros on each side
  int64_t dilation = 1;
  int64_t groups = 1;  ///< neighbouring channels that are convolved among themselves; c: depthwise
  Activation activation = Activation::none;
  Var gamma{};     ///< [F] factor after the activation, as in LinearOptions; undefined: 1
  Var residual{};  ///< shape of the result, or [F], added last; undefined: 0
  bool residual_first = false, overwrite_residual = false;  ///< as in LinearOptions
};

/// 2-d convolution of a token grid, without im2col: x [B, height, width, c], weight [F, kernel_h * kernel_w * c]
/// (taps outermost; c / groups in place of c) -> [B, height', width', F]. Packed weights come from
/// pack_conv2d. Errors: shapes do not match, groups does not divide c and F.
Var conv2d(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const Conv2dOptions& options);

/// The packed form that serves these options best: weight [F, kernel_h * kernel_w * c / groups], taps outermost. Wide
/// convolutions of 3 x 3 with stride 1 get Winograd's form (vit/kernels/winograd.h), whose rounding differs.
PackedWeight pack_conv2d(const Tensor& weight, const Conv2dOptions& options);

/// An image as a map of the toolkit: [B, c, height, width] -> [B, height, width, c].
Var channels_last(Context& ctx, const Var& image);

/// A convolution's weight in the order that conv2d reads: [F, c, kernel_h, kernel_w] -> [F, kernel_h, kernel_w, c].
Var taps_outermost(Context& ctx, const Var& weight);

/// Prepends tokens to every sequence: prefix [1, P, C], x [B, N, C], pos [1, N, C] added to x or undefined -> [B, P +
/// N, C].
Var join_tokens(Context& ctx, const Var& prefix, const Var& x, const Var& pos);

/// One sequence after the other: a [B or 1, Na, C], b [B or 1, Nb, C] -> [B, Na + Nb, C]; what has a batch of 1 is
/// repeated.
Var concat_tokens(Context& ctx, const Var& a, const Var& b);

/// Entries [begin, end) of the first axis, such as rows of a weight.
Var slice_rows(Context& ctx, const Var& x, int64_t begin, int64_t end);

/// Columns [begin, end) of the last axis: [..., C] -> [..., end - begin].
Var slice_features(Context& ctx, const Var& x, int64_t begin, int64_t end);

/// Concatenation along the last axis: a [B, Ca], b [B, Cb] -> [B, Ca + Cb].
Var concat_features(Context& ctx, const Var& a, const Var& b);

/// Rows [begin, end) of the token axis: [B, N, C] -> [B, end - begin, C].
Var slice_tokens(Context& ctx, const Var& x, int64_t begin, int64_t end);

/// One token of every sequence: [B, N, C] -> [B, C].
Var select_token(Context& ctx, const Var& x, int64_t index);

enum class Reduction { mean, max };

/// Mean or maximum over tokens first_token..N-1: [B, N, C] -> [B, C].
Var reduce_tokens(Context& ctx, const Var& x, int64_t first_token, Reduction reduction);

/// How a position table is resampled. The two differ even when enlarging.
enum class Interpolation {
  bicubic_antialias,  ///< a = -0.5, support widened when shrinking: timm's resample_abs_pos_embed
  bicubic,            ///< a = -0.75, border taps clamped: torch.nn.functional.interpolate as Hugging Face calls it
};

/// Calls `part` so that nothing inside it is kept for the gradient: backward runs it again, with the same random
/// numbers and without telling observers or moving running statistics, and only then has its intermediates (Chen et al.
/// 2016, "Training deep nets with sublinear memory cost"). Without a tape it is just called. What `part` refers to, and
/// `ctx`, must outlive the tape's backward.
Var checkpoint(Context& ctx, const std::function<Var(Context&, const Var&)>& part, const Var& x);

/// Resamples the grid part of a position table [1, P + from_h * from_w, C] to another grid, keeping the P prefix rows
/// -> [1, P + to_h * to_w, C]. align_corners is false in both forms.
Var resample_grid(Context& ctx, const Var& table, int64_t prefix, int64_t from_h, int64_t from_w, int64_t to_h,
                  int64_t to_w, Interpolation interpolation);

}  // namespace vit
