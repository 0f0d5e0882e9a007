// The oracle's attention within groups of tokens, in double, one query and key after the other. Contract:
// group_kernels.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "vit/kernels/reference.h"

namespace vit::kernels::reference {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

const float* key_row(const TokenGroup& group, int64_t j) {
  return group.keys[j] < 0 ? group.filler_k : group.k + group.keys[j] * group.k_stride;
}

const float* value_row(const TokenGroup& group, int64_t j) {
  return group.keys[j] < 0 ? group.filler_v : group.v + group.keys[j] * group.v_stride;
}

/// Score of the group's i-th query and j-th key; -inf where there is no key.
double score(const TokenGroup& group, int64_t i, int64_t j) {
  const float* k = key_row(group, j);
  if (!k) return -kInfinity;
  double sum = group.scale * dot(group.q + group.queries[i] * group.q_stride, k, group.qk_dim);
  if (group.bias) sum += group.bias[i * group.kv_rows + j];
  if (group.mask) sum += group.mask[i * group.kv_rows + j];
  return sum;
}

int64_t workspace_size(int64_t, int64_t kv_rows, int64_t qk_dim, int64_t v_dim) {
  return 2 * (kv_rows * (1 + qk_dim + v_dim) + qk_dim + v_dim);
}

void grouped_attention(const GroupedAttentionArgs& args, float* workspace) {
  const TokenGroup& group = args.group;
  auto* scores = reinterpret_cast<double*>(workspace);
  double* sums = scores + group.kv_rows;
  for (int64_t i = 0; i < group.q_rows; ++i) {
    const int64_t query = group.queries[i];
    if (query < 0) continue;
    double best = -kInfinity, total = 0.0;
    for (int64_t j = 0; j < group.kv_rows; ++j) {
      scores[j] = score(group, i, j);
      best = std::isnan(scores[j]) ? scores[j] : std::max(best, scores[j]);
    }
    std::fill_n(sums, group.v_dim, 0.0);
    for (int64_t j = 0; j < group.kv_rows && best != -kInfinity; ++j) {
      const double p = std::exp(scores[j] - best);
      const float* v = value_row(group, j);
      total += p;
      for (int64_t d = 0; v && d < group.v_dim; ++d) sums[d] += p * v[d];
    }
    for (int64_t d = 0; d < group.v_dim; ++d)
      args.out[query * args.out_stride + d] = total == 0.0 ? 0.0f : static_cast<float>(sums[d] / total);
    if (args.lse) args.lse[query] = static_cast<float>(total == 0.0 ? -kInfinity : best + std::log(total));
  }
}

/// What one query adds to the gradients of the keys and values, d_k [kv_rows, qk_dim] then d_v; writes d_q.
void grad_query(const GroupedAttentionGradArgs& args, int64_t i, double* d_q, double* d_k) {
  const TokenGroup& group = args.group;
  const int64_t query = group.queries[i];
  const float *q = group.q + query * group.q_stride, *d_out = args.d_out + query * args.d_out_stride;
  const double delta = dot(d_out, args.out + query * args.out_stride, group.v_dim), lse = args.lse[query];
  double* d_v = d_k + group.kv_rows * group.qk_dim;
  std::fill_n(d_q, group.qk_dim, 0.0);
  for (int64_t j = 0; j < group.kv_rows; ++j) {
    const double s = score(group, i, j), p = lse == -kInfinity || s == -kInfinity ? 0.0 : std::exp(s - lse);
    if (p == 0.0) continue;
    const float *k = key_row(group, j), *v = value_row(group, j);
    const double d_s = p * (dot(d_out, v, group.v_dim) - delta);
    for (int64_t d = 0; d < group.v_dim; ++d) d_v[j * group.v_dim + d] += p * d_out[d];
    for (int64_t d = 0; d < group.qk_dim; ++d) {
      d_k[j * group.qk_dim + d] += group.scale * d_s * q[d];
      d_q[d] += group.scale * d_s * k[d];
    }
    if (args.d_bias) {
      float& d_bias = args.d_bias[i * group.kv_rows + j];
      d_bias = static_cast<float>(d_bias + d_s);
    }
  }
  for (int64_t d = 0; d < group.qk_dim; ++d) args.d_q[query * args.d_q_stride + d] = static_cast<float>(d_q[d]);
}

void grouped_attention_grad(const GroupedAttentionGradArgs& args, float* workspace) {
  const TokenGroup& group = args.group;
  auto* d_k = reinterpret_cast<double*>(workspace);
  double* d_v = d_k + group.kv_rows * group.qk_dim;
  double* d_q = d_v + group.kv_rows * group.v_dim;
  std::fill_n(d_k, group.kv_rows * (group.qk_dim + group.v_dim), 0.0);
  for (int64_t i = 0; i < group.q_rows; ++i)
    if (group.queries[i] >= 0) grad_query(args, i, d_q, d_k);
  const auto scatter = [&](float* rows, int64_t stride, float* filler, int64_t j, const double* x, int64_t cols) {
    float* y = group.keys[j] < 0 ? filler : rows + group.keys[j] * stride;
    const bool add = args.accumulate_kv || group.keys[j] < 0;
    for (int64_t d = 0; y && d < cols; ++d) y[d] = static_cast<float>(add ? y[d] + x[d] : x[d]);
  };
  for (int64_t j = 0; j < group.kv_rows; ++j) {
    scatter(args.d_k, args.d_k_stride, args.d_filler_k, j, d_k + j * group.qk_dim, group.qk_dim);
    scatter(args.d_v, args.d_v_stride, args.d_filler_v, j, d_v + j * group.v_dim, group.v_dim);
  }
}

}  // namespace

const GroupKernels kGroupKernels = {
    .grouped_attention_workspace_size = workspace_size,
    .grouped_attention = grouped_attention,
    .grouped_attention_grad_workspace_size = workspace_size,
    .grouped_attention_grad = grouped_attention_grad,
};

}  // namespace vit::kernels::reference
