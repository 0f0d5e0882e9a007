// The kernels: the hot loops of the toolkit, built once per instruction set and reached through one table of functions
// that is chosen when the program starts. Plain C++ types only: pointers and sizes.
//
// Rules that hold for every function of the table:
//  - f32 in and out; sizes, strides and offsets count floats unless a name says otherwise; row-major.
//  - Outputs, inputs, sizes: in that order. "stride" is the distance between rows; columns are contiguous.
//  - One thread. A function works on the part it is given; vit/core/parallel.h splits work one level up. A row's result
//    never depends on the part it was computed in, so any split over any number of threads gives the same bits.
//  - No allocation, no exceptions, no checks: the ops above check shapes once. Sizes of zero are legal and do nothing,
//    except where a sum over nothing is asked for: that is zero.
//  - Nothing beyond the stated extents is read or written, and no alignment is needed except where said.
//  - NaN in gives NaN out in the rows it takes part in, never a crash or a hang.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vit::kernels {

struct GroupKernels;   // group_kernels.h: attention within groups of tokens, and between channels
struct TensorKernels;  // tensor_kernels.h: broadcasting, reductions, exponentials
struct WinogradArgs;   // winograd.h: convolutions of 3 x 3 with fewer products

/// Instruction sets with a table of their own. `scalar` is the slow oracle (double accumulation), for tests.
enum class Isa { scalar, sse2, avx2, avx512, neon64 };

/// Element-wise functions that epilogues and activation() apply.
enum class Activation : int32_t {
  none,
  relu,
  gelu,        ///< x * Phi(x), by erf: torch's default, timm's "gelu"
  gelu_tanh,   ///< tanh approximation: timm's "gelu_tanh", HF's "gelu_new" and "gelu_pytorch_tanh"
  quick_gelu,  ///< x * sigmoid(1.702 x): CLIP
  silu,        ///< x * sigmoid(x), also called swish
  sigmoid,
  tanh,
  hard_sigmoid,  ///< clamp(x / 6 + 1/2, 0, 1): torch's Hardsigmoid
};

/// What happens to a matrix product before it is stored: y = residual + gamma * act(acc + bias), or with residual_first
/// y = act(residual + gamma * (acc + bias)). Null leaves a step out.
struct Epilogue {
  const float* bias = nullptr;  ///< [n], added to every row
  Activation activation = Activation::none;
  const float* gamma = nullptr;     ///< [n], factor per column (layer scale, folded norms)
  const float* residual = nullptr;  ///< [m, n], added last; may be the output itself
  int64_t residual_stride = 0;      ///< between rows of the residual
  bool residual_first = false;      ///< the activation comes after the residual: the end of a residual block
  bool accumulate = false;          ///< add the output's old values to acc (gradients)
};

/// Rows [m0, m1) of the output times panels [p0, p1) of packed columns.
struct GemmPart {
  int64_t m0 = 0, m1 = 0, p0 = 0, p1 = 0;
};

/// c [m, n] = epilogue(a [m, k] * b [k, n]) with b packed by pack_b.
struct GemmArgs {
  float* c = nullptr;  ///< [m, n]
  int64_t c_stride = 0;
  const float* a = nullptr;  ///< [m, k]; must not overlap c
  int64_t a_stride = 0;
  const float* b = nullptr;  ///< from pack_b, 64-byte aligned
  int64_t n = 0, k = 0;
  Epilogue epilogue;
};

/// Offset that stands for a tap outside the image: it reads zeros.
inline constexpr int32_t kZeroTap = -1;

/// The rows of a convolution's left matrix, without writing that matrix (im2col) down. Row r belongs to image
/// r / rows_per_image and consists of `taps` pieces of `tap_length` floats; piece t starts at
///   images + (r / rows_per_image) * image_stride + offsets[(r % rows_per_image) * taps + t],
/// or is all zeros where that offset is kZeroTap. One table of offsets serves the whole batch and depends on shapes
/// only, so modules may keep it. conv_offsets.h writes the tables for NHWC convolutions and for patches of NCHW images.
struct IndirectRows {
  const float* images = nullptr;
  int64_t image_stride = 0;          ///< floats from one image to the next
  const int32_t* offsets = nullptr;  ///< [rows_per_image, taps], in floats
  const float* zeros = nullptr;      ///< tap_length zeros; may be null when no offset is kZeroTap
  int64_t rows_per_image = 0;
  int64_t taps = 0;
  int64_t tap_length = 0;
};

/// c [rows, n] = epilogue(indirect rows [rows, k = taps * tap_length] * b [k, n]), b packed by pack_b. The k index is
/// tap * tap_length + position in the piece. Groups: one call per group, with images and c moved to the group's
/// channels.
struct GemmIndirectArgs {
  float* c = nullptr;
  int64_t c_stride = 0;
  IndirectRows a;
  const float* b = nullptr;  ///< from pack_b, 64-byte aligned
  int64_t n = 0;
  Epilogue epilogue;
};

/// Depthwise NHWC convolution: c[r, ch] = epilogue(sum over taps of a[r, tap, ch] * weight[tap, ch]);
/// tap_length is the number of channels. Epilogue::accumulate is honoured.
struct DepthwiseArgs {
  float* c = nullptr;  ///< [rows, channels]
  int64_t c_stride = 0;
  IndirectRows a;
  const float* weight = nullptr;  ///< [taps, channels]
  Epilogue epilogue;
};

/// Exact attention of one (batch, head): out = softmax(scale * q k^T + bias) v by tiles with an online softmax
/// (Milakov & Gimelshein 2018; Dao et al. 2022), so memory is O(kv_rows). q, k, v and out are addressed by row strides:
/// packed qkv [B, N, 3, H, D] is read in place.
/// A query whose every bias is -inf gives zeros in out and -inf in lse, never NaN.
struct AttentionArgs {
  float* out = nullptr;  ///< [q_rows, v_dim]
  int64_t out_stride = 0;
  float* lse = nullptr;      ///< optional [q_rows]: log of the sum of exp(scores), kept for the gradient
  const float* q = nullptr;  ///< [q_rows, qk_dim]
  int64_t q_stride = 0;
  const float* packed_kv = nullptr;  ///< from attention_pack with the same kv_rows, qk_dim, v_dim; 64-byte aligned
  const float* bias = nullptr;       ///< optional [q_rows, kv_rows], added to the scaled scores; -inf masks
  int64_t bias_stride = 0;           ///< 0 uses one row of bias for every query (a key padding mask)
  int64_t kv_rows = 0, qk_dim = 0, v_dim = 0;
  float scale = 1.0f;  ///< factor on q k^T, usually 1 / sqrt(qk_dim)
};

/// Softmax probabilities of one (batch, head), for observers: plain, O(q_rows * kv_rows) output, not the fast path.
struct AttentionScoresArgs {
  float* probabilities = nullptr;  ///< [q_rows, kv_rows]
  int64_t probabilities_stride = 0;
  const float* q = nullptr;
  int64_t q_stride = 0;
  const float* k = nullptr;  ///< [kv_rows, qk_dim], not packed
  int64_t k_stride = 0;
  const float* bias = nullptr;
  int64_t bias_stride = 0;
  int64_t kv_rows = 0, qk_dim = 0;
  float scale = 1.0f;
};

/// c [m, n] = a^T b (+ c): the gradient of a weight. a [k, m] and b [k, n] are read in place, nothing is packed; sums
/// over k run in fixed blocks, in order, so the bits depend on k alone.
struct GemmTransposedArgs {
  float* c = nullptr;  ///< [m, n]
  int64_t c_stride = 0;
  const float* a = nullptr;  ///< [k, m]
  int64_t a_stride = 0;
  const float* b = nullptr;  ///< [k, n]
  int64_t b_stride = 0;
  int64_t n = 0, k = 0;
  bool accumulate = false;  ///< add to the output's old values
};

/// Gradients of the exact attention of one (batch, head) from the log-sum-exp that attention_rows kept (Dao et al.
/// 2022, algorithm 4): with p = exp(scale * q k^T + bias - lse) recomputed block by block,
///   d_v = p^T d_out,  d_s = p * (d_out v^T - rowsum(d_out * out)),  d_q = scale * d_s k,  d_k = scale * d_s^T q.
/// Nothing of q_rows x kv_rows is kept, except d_bias where it is wanted. Rows whose lse is -inf give zeros.
struct AttentionGradArgs {
  float* d_q = nullptr;  ///< [q_rows, qk_dim]
  int64_t d_q_stride = 0;
  float* d_k = nullptr;  ///< [kv_rows, qk_dim]
  int64_t d_k_stride = 0;
  float* d_v = nullptr;  ///< [kv_rows, v_dim]
  int64_t d_v_stride = 0;
  bool accumulate_kv = false;    ///< add to d_k and d_v (several query heads share them)
  float* d_bias = nullptr;       ///< optional [q_rows, kv_rows], added to: d_s
  int64_t d_bias_stride = 0;     ///< 0: one row for every query, as bias_stride
  const float* d_out = nullptr;  ///< [q_rows, v_dim]
  int64_t d_out_stride = 0;
  const float* out = nullptr;  ///< [q_rows, v_dim], of the forward pass
  int64_t out_stride = 0;
  const float* lse = nullptr;  ///< [q_rows], of the forward pass
  const float* q = nullptr;
  int64_t q_stride = 0;
  const float* k = nullptr;  ///< [kv_rows, qk_dim], not packed
  int64_t k_stride = 0;
  const float* v = nullptr;  ///< [kv_rows, v_dim], not packed
  int64_t v_stride = 0;
  const float* bias = nullptr;  ///< as in AttentionArgs
  int64_t bias_stride = 0;
  int64_t q_rows = 0, kv_rows = 0, qk_dim = 0, v_dim = 0;
  float scale = 1.0f;
  /// What this thread will be given after this, or null: its operands are fetched into the cache meanwhile. It changes
  /// the time, a fifth for small heads, and nothing else.
  const AttentionGradArgs* next = nullptr;
};

/// One step of AdamW (Loshchilov & Hutter 2019, algorithm 2, as torch.optim.AdamW): the caller has folded the
/// bias corrections into the numbers.
///   p -= lr * weight_decay * p;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   p -= step_size * m / (sqrt(v) * inv_sqrt_correction2 + eps)
struct AdamWStep {
  float lr_times_decay = 0.0f;        ///< lr * weight_decay
  double beta1 = 0.9, beta2 = 0.999;  ///< double: 1 - beta2 of a rounded 0.999f would be off by 5e-5
  float step_size = 0.0f;             ///< lr / (1 - beta1^t)
  float inv_sqrt_correction2 = 1.0f;  ///< 1 / sqrt(1 - beta2^t)
  float eps = 1e-8f;
  float grad_scale = 1.0f;  ///< factor on every gradient first (clipping, accumulation)
};

/// One instruction set's functions. Get the program's table from kernels().
struct KernelTable {
  Isa isa;
  const char* name;      ///< "scalar", "sse2", "avx2", "avx512", "neon64"
  int64_t vector_width;  ///< floats per register
  int64_t panel_width;   ///< columns per packed panel
  int64_t tile_rows;     ///< rows that share one pass over a panel; parts of rows are best multiples of it

  // ---- matrix products ----
  /// Packs panels [p0, p1) of a right-hand matrix b [k, n], element (k, n) at b[k * k_stride + n * n_stride], into
  /// packed + p * k * panel_width each; columns beyond n are zeros. A torch Linear weight [n, k] has n_stride = k and
  /// k_stride = 1; a GPT-2 Conv1D weight [k, n] has k_stride = n and n_stride = 1. `packed` is the start of the whole
  /// buffer of packed_size(table, n, k) floats, 64-byte aligned.
  void (*pack_b)(float* packed, const float* b, int64_t n_stride, int64_t k_stride, int64_t n, int64_t k, int64_t p0,
                 int64_t p1);
  void (*gemm)(const GemmArgs& args, const GemmPart& part);
  void (*gemm_indirect)(const GemmIndirectArgs& args, const GemmPart& part);
  /// Floats of scratch that one running conv_winograd needs, 64-byte aligned.
  int64_t (*winograd_workspace_size)(int64_t channels);
  /// Tiles [m0, m1) times panels [p0, p1) of the output's columns.
  void (*conv_winograd)(const WinogradArgs& args, float* workspace, const GemmPart& part);
  /// Rows [r0, r1), all channels.
  void (*conv_depthwise)(const DepthwiseArgs& args, int64_t r0, int64_t r1);

  // ---- attention ----
  /// Floats that attention_pack fills for one (batch, head).
  int64_t (*attention_packed_size)(int64_t kv_rows, int64_t qk_dim, int64_t v_dim);
  /// Floats of scratch that one running attention_rows needs, 64-byte aligned.
  int64_t (*attention_workspace_size)(int64_t qk_dim, int64_t v_dim);
  /// Packs keys and values of kv rows [j0, j1) of one (batch, head); j0 is a multiple of panel_width, and so is j1
  /// unless it is kv_rows. `packed` is the start of the whole buffer. k [kv_rows, qk_dim], v [kv_rows, v_dim].
  void (*attention_pack)(float* packed, const float* k, int64_t k_stride, const float* v, int64_t v_stride,
                         int64_t kv_rows, int64_t qk_dim, int64_t v_dim, int64_t j0, int64_t j1);
  /// Queries [q0, q1). Several threads may share one packed_kv; each needs its own workspace.
  void (*attention_rows)(const AttentionArgs& args, float* workspace, int64_t q0, int64_t q1);
  /// Queries [q0, q1).
  void (*attention_scores)(const AttentionScoresArgs& args, int64_t q0, int64_t q1);

  // ---- rows ----
  /// y = (x - mean) / sqrt(var + eps) * gamma + beta per row, biased variance in two passes (Ba et al. 2016). gamma,
  /// beta [cols] may be null. mean, rstd [rows] may be null; they are for the gradient. y may be x.
  void (*layer_norm)(float* y, int64_t y_stride, float* mean, float* rstd, const float* x, int64_t x_stride,
                     const float* gamma, const float* beta, int64_t rows, int64_t cols, float eps);
  /// y = x / sqrt(mean(x^2) + eps) * gamma per row (Zhang & Sennrich 2019). rstd [rows] and gamma may be null; y may be
  /// x.
  void (*rms_norm)(float* y, int64_t y_stride, float* rstd, const float* x, int64_t x_stride, const float* gamma,
                   int64_t rows, int64_t cols, float eps);
  /// y = x / max(|x|_2, eps) per row: torch's normalize. y may be x.
  void (*l2_norm)(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols, float eps);
  /// y = softmax(scale * x) per row; a row that is all -inf gives zeros. y may be x.
  void (*softmax)(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols,
                  float scale);
  /// y [cols] = mean over rows of x [rows, cols]; zero rows give zeros.
  void (*mean_rows)(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols);
  /// y [cols, rows] = x [rows, cols] transposed; y must not overlap x.
  void (*transpose)(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols);

  // ---- elements ----
  /// y = f(x). y may be x.
  void (*activation)(float* y, const float* x, int64_t count, Activation kind);
  /// y [rows, cols] = f(gate) * value. The halves of a packed [rows, 2 * cols] share in_stride; SwiGLU is kind = silu
  /// with gate = x, value = x + cols (Shazeer 2020). y must not overlap the inputs unless it equals gate or value.
  void (*gated_activation)(float* y, int64_t y_stride, const float* gate, const float* value, int64_t in_stride,
                           int64_t rows, int64_t cols, Activation kind);
  /// y = a + b. y may be a or b.
  void (*add)(float* y, const float* a, const float* b, int64_t count);
  /// y = a * b. y may be a or b.
  void (*multiply)(float* y, const float* a, const float* b, int64_t count);
  /// y = factor * x. y may be x.
  void (*scale)(float* y, const float* x, float factor, int64_t count);
  /// y = a + gamma * b for rows of cols contiguous floats, gamma [cols] (layer scale). y may be a or b.
  void (*scale_add)(float* y, const float* a, const float* b, const float* gamma, int64_t rows, int64_t cols);
  /// One row of an 8-bit RGB picture to three planes: y[c * plane_stride + i] = (x[3 i + c] * scale - mean[c]) /
  /// std[c], each step rounded to f32 as NumPy does.
  void (*normalize_u8)(float* y, int64_t plane_stride, const uint8_t* x, int64_t width, float scale, const float* mean,
                       const float* std);

  // ---- gradients: of the functions above, by their names ----
  /// Rows [m0, m1) of the output times panels [p0, p1) of its columns.
  void (*gemm_transposed)(const GemmTransposedArgs& args, const GemmPart& part);
  /// y [cols] = sum over rows of x [rows, cols], added to y when `accumulate`.
  void (*sum_rows)(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols, bool accumulate);
  /// y [cols] += sum over rows of a * b: the gradient of a factor per column.
  void (*sum_rows_product)(float* y, const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t rows,
                           int64_t cols);
  /// From mean, rstd [rows] of layer_norm. d_x may be d_y. d_gamma, d_beta [cols] are added to; they and gamma may be
  /// null.
  void (*layer_norm_grad)(float* d_x, int64_t d_x_stride, float* d_gamma, float* d_beta, const float* d_y,
                          int64_t d_y_stride, const float* x, int64_t x_stride, const float* mean, const float* rstd,
                          const float* gamma, int64_t rows, int64_t cols);
  /// From rstd [rows] of rms_norm. d_x may be d_y. d_gamma [cols] is added to; it and gamma may be null.
  void (*rms_norm_grad)(float* d_x, int64_t d_x_stride, float* d_gamma, const float* d_y, int64_t d_y_stride,
                        const float* x, int64_t x_stride, const float* rstd, const float* gamma, int64_t rows,
                        int64_t cols);
  /// Rows shorter than eps were divided by it, and so is d_y. d_x may be d_y.
  void (*l2_norm_grad)(float* d_x, int64_t d_x_stride, const float* d_y, int64_t d_y_stride, const float* x,
                       int64_t x_stride, int64_t rows, int64_t cols, float eps);
  /// From the output y: d_x = scale * y * (d_y - sum(d_y * y)). d_x may be d_y.
  void (*softmax_grad)(float* d_x, int64_t d_x_stride, const float* d_y, int64_t d_y_stride, const float* y,
                       int64_t y_stride, int64_t rows, int64_t cols, float scale);
  /// d_x = d_y * f'(x), x being the input of activation(). d_x may be d_y.
  void (*activation_grad)(float* d_x, const float* d_y, const float* x, int64_t count, Activation kind);
  /// d_gate = d_y * value * f'(gate), d_value = d_y * f(gate); d_gate and d_value share d_in_stride as gate and value
  /// share in_stride, and may be gate and value.
  void (*gated_activation_grad)(float* d_gate, float* d_value, int64_t d_in_stride, const float* d_y,
                                int64_t d_y_stride, const float* gate, const float* value, int64_t in_stride,
                                int64_t rows, int64_t cols, Activation kind);
  /// Floats of scratch that one running attention_grad needs, 64-byte aligned.
  int64_t (*attention_grad_workspace_size)(int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim);
  /// One (batch, head), all of it.
  void (*attention_grad)(const AttentionGradArgs& args, float* workspace);
  /// The tap gather and its gradient: columns [r1 - r0, taps * tap_length] = the indirect rows [r0, r1) written down,
  /// and images += columns scattered back; `images` takes the place of a.images. Splits of scatter_rows between threads
  /// are between images: rows of one image overlap.
  void (*gather_rows)(float* columns, const IndirectRows& a, int64_t r0, int64_t r1);
  void (*scatter_rows)(float* images, const float* columns, const IndirectRows& a, int64_t r0, int64_t r1);
  /// Depthwise convolution: d_weight [taps, channels] += d_c * taps of a, and images += d_c * weight scattered, for
  /// rows [r0, r1). d_c [rows, channels] is args.c, read; d_weight and d_images may be null, the epilogue is not used.
  void (*conv_depthwise_grad)(float* d_weight, float* d_images, const DepthwiseArgs& args, int64_t r0, int64_t r1);

  // ---- optimisation ----
  void (*adamw)(float* p, float* m, float* v, const float* g, int64_t count, const AdamWStep& step);
  /// sum of x^2, in double over fixed blocks.
  double (*sum_of_squares)(const float* x, int64_t count);

  // ---- tables of their own ----
  const GroupKernels* groups;
  const TensorKernels* tensors;

  // ---- measurement ----
  /// Runs independent multiply-adds on registers only; the core's peak. `flops` gets the operations done (two per
  /// multiply-add and lane). Returns a checksum, so that nothing is optimised away.
  float (*fma_peak)(int64_t iterations, int64_t* flops);
};

/// The program's table: the widest the CPU has, or the one that the environment variable VITKIT_ISA names. Chosen at
/// the first call. Errors: vit::Error (usage) when VITKIT_ISA names an unknown set or one this CPU lacks; the message
/// lists those it has.
const KernelTable& kernels();

/// The table of one set, or null when this build or this CPU does not have it.
const KernelTable* kernels_for(Isa isa);

/// Panels of an n-column packed matrix.
inline int64_t panel_count(const KernelTable& table, int64_t n) {
  return (n + table.panel_width - 1) / table.panel_width;
}

/// Floats that pack_b needs for b [k, n].
inline int64_t packed_size(const KernelTable& table, int64_t n, int64_t k) {
  return panel_count(table, n) * table.panel_width * k;
}

/// How to cut an m x n x k product into parts that keep `threads` threads busy and read the weights as few times as
/// possible. The result's bits do not depend on it.
struct GemmGrid {
  int64_t row_parts = 1, panel_parts = 1;
  int64_t parts() const { return row_parts * panel_parts; }
};
GemmGrid gemm_grid(const KernelTable& table, int64_t m, int64_t n, int64_t k, int threads);
/// Part `index` of [0, grid.parts()); neighbours share columns' weights or rows where possible.
GemmPart gemm_part(const KernelTable& table, const GemmGrid& grid, int64_t m, int64_t n, int64_t index);

}  // namespace vit::kernels
