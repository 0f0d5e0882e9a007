// The kernels by themselves: `./run bench kernels`, `./run bench attention` (or --benchmark_filter=...). Each row
// measures the multiply-add peak in turn with the kernel and reports the kernel's share of it (peak_share), because the
// clock drifts: a rate means little, the share in one row does. gflops counts two operations per multiply-add of the
// products alone.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vit/core/parallel.h"
#include "vit/kernels/group_kernels.h"
#include "vit/kernels/kernels.h"

namespace {

namespace vk = vit::kernels;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// 64-byte aligned floats between -0.5 and 0.5.
class Buffer {
 public:
  explicit Buffer(int64_t size) : storage_(static_cast<std::size_t>(size) + 16) {
    uint32_t state = 1;
    for (float& value : storage_) {
      state = state * 1664525u + 1013904223u;
      value = static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
    }
  }
  float* data() {
    return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(storage_.data()) + 63) & ~uintptr_t{63});
  }

 private:
  std::vector<float> storage_;
};

/// The peak of all threads together: each runs its own loop of multiply-adds.
double peak_flops_per_second() {
  const int64_t threads = vit::num_threads();
  std::vector<int64_t> flops(static_cast<std::size_t>(threads));
  const auto begin = Clock::now();
  vit::parallel_for(threads, [&](int64_t part) {
    benchmark::DoNotOptimize(vk::kernels().fma_peak(100000, &flops[static_cast<std::size_t>(part)]));
  });
  const double elapsed = seconds_since(begin);
  double total = 0.0;
  for (int64_t count : flops) total += static_cast<double>(count);
  return total / elapsed;
}

/// Runs `work` of `flops` operations under the benchmark's clock, the peak beside it, and reports medians.
template <class Work>
void measure(benchmark::State& state, double flops, const Work& work) {
  work();  // touches memory, wakes threads
  std::vector<double> shares, rates;
  for (auto _ : state) {
    const auto begin = Clock::now();
    work();
    const double elapsed = seconds_since(begin);
    state.SetIterationTime(elapsed);
    rates.push_back(flops / elapsed);
    shares.push_back(flops / elapsed / peak_flops_per_second());
  }
  std::sort(shares.begin(), shares.end());
  std::sort(rates.begin(), rates.end());
  state.counters["peak_share"] = shares[shares.size() / 2];
  state.counters["gflops"] = rates[rates.size() / 2] / 1e9;
  state.SetLabel(vk::kernels().name);
}

void peak(benchmark::State& state) {
  vit::set_num_threads(static_cast<int>(state.range(0)));
  double best = 0.0;
  for (auto _ : state) best = std::max(best, peak_flops_per_second());
  state.counters["gflops"] = best / 1e9;
  state.SetLabel(vk::kernels().name);
}

/// Arguments: rows, columns, k, activation, threads. Several weights in turn, 32 MB in all, as a model's layers would
/// come.
void gemm(benchmark::State& state) {
  const vk::KernelTable& table = vk::kernels();
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  vit::set_num_threads(static_cast<int>(state.range(4)));
  const int64_t copies = std::max<int64_t>(1, (int64_t{32} << 20) / (4 * n * k));
  Buffer a(m * k), weight(n * k), bias(n), c(m * n);
  std::vector<std::unique_ptr<Buffer>> packed;
  for (int64_t i = 0; i < copies; ++i) {
    packed.push_back(std::make_unique<Buffer>(vk::packed_size(table, n, k)));
    table.pack_b(packed.back()->data(), weight.data(), k, 1, n, k, 0, vk::panel_count(table, n));
  }
  vk::GemmArgs args{c.data(), n, a.data(), k, nullptr, n, k, {}};
  args.epilogue.bias = bias.data();
  args.epilogue.activation = static_cast<vk::Activation>(state.range(3));
  const vk::GemmGrid grid = vk::gemm_grid(table, m, n, k, vit::num_threads());
  measure(state, 2.0 * static_cast<double>(m * n * k * copies), [&] {
    for (const auto& weights : packed) {
      args.b = weights->data();
      vit::parallel_for(grid.parts(), [&](int64_t part) { table.gemm(args, vk::gemm_part(table, grid, m, n, part)); });
    }
  });
}

/// Arguments: tokens, heads, head dimension, threads. Reads packed qkv [N, 3, H, D]; packing is part of the time.
void attention(benchmark::State& state) {
  const vk::KernelTable& table = vk::kernels();
  const int64_t tokens = state.range(0), heads = state.range(1), dim = state.range(2), width = heads * dim;
  vit::set_num_threads(static_cast<int>(state.range(3)));
  Buffer qkv(tokens * 3 * width), out(tokens * width);
  const int64_t packed_size = (table.attention_packed_size(tokens, dim, dim) + 15) / 16 * 16;
  const int64_t threads = std::min<int64_t>(vit::num_threads(), heads);
  const int64_t scratch_size = packed_size + table.attention_workspace_size(dim, dim) + 16;
  std::vector<std::unique_ptr<Buffer>> scratch;
  for (int64_t i = 0; i < threads; ++i) scratch.push_back(std::make_unique<Buffer>(scratch_size));
  measure(state, 4.0 * static_cast<double>(tokens * tokens * width), [&] {
    vit::parallel_for(threads, [&](int64_t part) {
      float* packed = scratch[static_cast<std::size_t>(part)]->data();
      const vit::Range range = vit::part_range(heads, threads, part);
      for (int64_t h = range.begin; h < range.end; ++h) {
        const float* q = qkv.data() + h * dim;
        table.attention_pack(packed, q + width, 3 * width, q + 2 * width, 3 * width, tokens, dim, dim, 0, tokens);
        vk::AttentionArgs args;
        args.out = out.data() + h * dim;
        args.out_stride = width;
        args.q = q;
        args.q_stride = 3 * width;
        args.packed_kv = packed;
        args.kv_rows = tokens;
        args.qk_dim = args.v_dim = dim;
        args.scale = 0.125f;
        table.attention_rows(args, packed + packed_size, 0, tokens);
      }
    });
  });
}

/// Arguments: side of the map, side of its windows, heads, head dimension, threads. Windowed attention with a bias,
/// from packed qkv [N, 3, H, D]; to be held against the share of `attention`.
void attention_windows(benchmark::State& state) {
  const vk::GroupKernels& table = *vk::kernels().groups;
  const int64_t side = state.range(0), window = state.range(1), heads = state.range(2), dim = state.range(3);
  const int64_t width = heads * dim, tokens = side * side, rows = window * window, groups = tokens / rows;
  vit::set_num_threads(static_cast<int>(state.range(4)));
  std::vector<int64_t> index;
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t top = group / (side / window) * window, left = group % (side / window) * window;
      index.push_back((top + i / window) * side + left + i % window);
    }
  Buffer qkv(tokens * 3 * width), out(tokens * width), bias(heads * rows * rows);
  const int64_t threads = vit::num_threads();
  std::vector<std::unique_ptr<Buffer>> scratch;
  for (int64_t i = 0; i < threads; ++i)
    scratch.push_back(std::make_unique<Buffer>(table.grouped_attention_workspace_size(rows, rows, dim, dim)));
  const auto group_at = [&](int64_t unit) {
    vk::TokenGroup group;
    group.q = qkv.data() + unit % heads * dim;
    group.k = group.q + width;
    group.v = group.k + width;
    group.q_stride = group.k_stride = group.v_stride = 3 * width;
    group.queries = group.keys = index.data() + unit / heads * rows;
    group.bias = bias.data() + unit % heads * rows * rows;
    group.q_rows = group.kv_rows = rows;
    group.qk_dim = group.v_dim = dim;
    group.scale = 0.125f;
    return group;
  };
  measure(state, 4.0 * static_cast<double>(tokens * rows * width), [&] {
    vit::parallel_for(threads, [&](int64_t part) {
      const vit::Range range = vit::part_range(groups * heads, threads, part);
      for (int64_t unit = range.begin; unit < range.end; ++unit) {
        const vk::TokenGroup next = group_at(std::min(unit + 1, range.end - 1));
        vk::GroupedAttentionArgs args;
        args.out = out.data() + unit % heads * dim;
        args.out_stride = width;
        args.group = group_at(unit);
        args.next = &next;
        table.grouped_attention(args, scratch[static_cast<std::size_t>(part)]->data());
      }
    });
  });
}

/// Arguments: m, n, k, threads: the gradient of a weight [m, n] over k tokens.
void gemm_transposed(benchmark::State& state) {
  const vk::KernelTable& table = vk::kernels();
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  vit::set_num_threads(static_cast<int>(state.range(3)));
  Buffer a(k * m), b(k * n), c(m * n);
  const vk::GemmTransposedArgs args{c.data(), n, a.data(), m, b.data(), n, n, k, false};
  const vk::GemmGrid grid = vk::gemm_grid(table, m, n, k, vit::num_threads());
  measure(state, 2.0 * static_cast<double>(m * n * k), [&] {
    vit::parallel_for(grid.parts(),
                      [&](int64_t part) { table.gemm_transposed(args, vk::gemm_part(table, grid, m, n, part)); });
  });
}

/// Arguments: pictures, tokens, heads of 64, threads. Five products; reads and writes packed qkv [B, N, 3, H, D].
void attention_grad(benchmark::State& state) {
  const vk::KernelTable& table = vk::kernels();
  const int64_t pictures = state.range(0), tokens = state.range(1), heads = state.range(2), dim = 64;
  const int64_t width = heads * dim, rows = pictures * tokens;
  vit::set_num_threads(static_cast<int>(state.range(3)));
  Buffer qkv(rows * 3 * width), d_qkv(rows * 3 * width), out(rows * width), d_out(rows * width), lse(tokens);
  std::fill_n(lse.data(), tokens, std::log(static_cast<float>(tokens)) + 0.1f);
  const int64_t threads = vit::num_threads();
  std::vector<std::unique_ptr<Buffer>> scratch;
  for (int64_t i = 0; i < threads; ++i)
    scratch.push_back(std::make_unique<Buffer>(table.attention_grad_workspace_size(tokens, tokens, dim, dim)));
  vk::AttentionGradArgs args;
  args.d_q_stride = args.d_k_stride = args.d_v_stride = args.q_stride = args.k_stride = args.v_stride = 3 * width;
  args.d_out_stride = args.out_stride = width;
  args.lse = lse.data();
  args.q_rows = args.kv_rows = tokens;
  args.qk_dim = args.v_dim = dim;
  args.scale = 0.125f;
  const auto head = [&](int64_t index) {
    const int64_t row = index / heads * tokens, col = index % heads * dim;
    vk::AttentionGradArgs one = args;
    one.q = qkv.data() + row * 3 * width + col;
    one.k = one.q + width;
    one.v = one.q + 2 * width;
    one.d_q = d_qkv.data() + row * 3 * width + col;
    one.d_k = one.d_q + width;
    one.d_v = one.d_q + 2 * width;
    one.out = out.data() + row * width + col;
    one.d_out = d_out.data() + row * width + col;
    return one;
  };
  measure(state, 10.0 * static_cast<double>(pictures * tokens * tokens * width), [&] {
    vit::parallel_for(threads, [&](int64_t part) {
      const vit::Range range = vit::part_range(pictures * heads, threads, part);
      for (int64_t i = range.begin; i < range.end; ++i) {
        vk::AttentionGradArgs one = head(i);
        const vk::AttentionGradArgs next = head(std::min(i + 1, range.end - 1));
        one.next = &next;
        table.attention_grad(one, scratch[static_cast<std::size_t>(part)]->data());
      }
    });
  });
}

/// Arguments: rows, columns. Bandwidth, not arithmetic, is what these are made of.
void layer_norm(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = state.range(1);
  Buffer x(rows * cols), y(rows * cols), gamma(cols), beta(cols);
  for (auto _ : state)
    vk::kernels().layer_norm(y.data(), cols, nullptr, nullptr, x.data(), cols, gamma.data(), beta.data(), rows, cols,
                             1e-6f);
  state.SetBytesProcessed(state.iterations() * rows * cols * 8);
}

void gelu(benchmark::State& state) {
  const int64_t count = state.range(0);
  Buffer x(count), y(count);
  for (auto _ : state) vk::kernels().activation(y.data(), x.data(), count, vk::Activation::gelu);
  state.SetItemsProcessed(state.iterations() * count);
}

void layer_norm_grad(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = state.range(1);
  Buffer x(rows * cols), d_y(rows * cols), d_x(rows * cols), mean(rows), rstd(rows), gamma(cols), sums(2 * cols);
  for (auto _ : state)
    vk::kernels().layer_norm_grad(d_x.data(), cols, sums.data(), sums.data() + cols, d_y.data(), cols, x.data(), cols,
                                  mean.data(), rstd.data(), gamma.data(), rows, cols);
  state.SetBytesProcessed(state.iterations() * rows * cols * 12);
}

void gelu_grad(benchmark::State& state) {
  const int64_t count = state.range(0);
  Buffer x(count), d_y(count), d_x(count);
  for (auto _ : state) vk::kernels().activation_grad(d_x.data(), d_y.data(), x.data(), count, vk::Activation::gelu);
  state.SetItemsProcessed(state.iterations() * count);
}

void sum_rows(benchmark::State& state) {
  const int64_t rows = state.range(0), cols = state.range(1);
  Buffer x(rows * cols), y(cols);
  for (auto _ : state) vk::kernels().sum_rows(y.data(), x.data(), cols, rows, cols, false);
  state.SetBytesProcessed(state.iterations() * rows * cols * 4);
}

void adamw(benchmark::State& state) {
  const int64_t count = state.range(0);
  Buffer p(count), m(count), v(count), g(count);
  for (int64_t i = 0; i < count; ++i) v.data()[i] = std::abs(v.data()[i]);
  vk::AdamWStep step;
  step.step_size = 1e-6f;
  for (auto _ : state) vk::kernels().adamw(p.data(), m.data(), v.data(), g.data(), count, step);
  state.SetBytesProcessed(state.iterations() * count * 28);
}

/// Weights of one block of ViT-Ti (batch of 64 pictures of 8 x 8 patches) and of ViT-S (8 of 14 x 14).
void gemm_transposed_shapes(benchmark::internal::Benchmark* bench) {
  for (int64_t threads : {1, 2})
    for (int64_t width : {192, 384}) {
      const int64_t k = width == 192 ? 4160 : 1576;
      bench->Args({3 * width, width, k, threads});
      bench->Args({width, width, k, threads});
      bench->Args({4 * width, width, k, threads});
      bench->Args({width, 4 * width, k, threads});
    }
}

void attention_grad_shapes(benchmark::internal::Benchmark* bench) {
  for (int64_t threads : {1, 2}) {
    bench->Args({64, 65, 3, threads});
    bench->Args({8, 197, 6, threads});
    bench->Args({1, 1024, 12, threads});
  }
}

void gemm_shapes(benchmark::internal::Benchmark* bench) {
  const int64_t none = static_cast<int64_t>(vk::Activation::none), gelu = static_cast<int64_t>(vk::Activation::gelu);
  for (int64_t threads : {1, 2})
    for (int64_t rows : {197, 1576})
      for (int64_t width : {768, 384, 192}) {
        bench->Args({rows, 3 * width, width, none, threads});
        bench->Args({rows, width, width, none, threads});
        bench->Args({rows, 4 * width, width, gelu, threads});
        bench->Args({rows, width, 4 * width, none, threads});
      }
}

void attention_shapes(benchmark::internal::Benchmark* bench) {
  for (int64_t threads : {1, 2})
    for (int64_t tokens : {197, 577, 1024, 4096}) bench->Args({tokens, 12, 64, threads});
  bench->Args({197, 12, 32, 1});
}

BENCHMARK(peak)->ArgNames({"threads"})->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(gemm)
    ->ArgNames({"m", "n", "k", "act", "threads"})
    ->Apply(gemm_shapes)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(attention)
    ->ArgNames({"n", "heads", "dim", "threads"})
    ->Apply(attention_shapes)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(attention_windows)
    ->ArgNames({"side", "window", "heads", "dim", "threads"})
    ->Args({56, 7, 3, 32, 1})
    ->Args({14, 7, 12, 32, 1})
    ->Args({56, 7, 3, 64, 1})
    ->Args({48, 12, 4, 32, 1})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(gemm_transposed)
    ->ArgNames({"m", "n", "k", "threads"})
    ->Apply(gemm_transposed_shapes)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(attention_grad)
    ->ArgNames({"pictures", "n", "heads", "threads"})
    ->Apply(attention_grad_shapes)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(layer_norm)->Args({197, 768})->Args({1576, 768});
BENCHMARK(layer_norm_grad)->Args({197, 768})->Args({4160, 192});
BENCHMARK(gelu_grad)->Arg(197 * 768)->Arg(4160 * 768);
BENCHMARK(sum_rows)->Args({4160, 192})->Args({4160, 768});
BENCHMARK(adamw)->Arg(100000)->Arg(5500000);
BENCHMARK(gelu)->Arg(197 * 768);

}  // namespace
