// Every mechanism of the zoo by itself, from 256 to 16,384 tokens: `./run bench zoo`, or zoo_bench [NAME...]. One row
// per mechanism: milliseconds at each size, the exponent with which time grew over the last step (1: like N), and the
// share of the multiply-add peak at the middle sizes. Mechanisms are given random weights and one picture of width 192.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "vit/core/context.h"
#include "vit/core/memory.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/core/timer.h"
#include "vit/kernels/kernels.h"
#include "vit/models/load.h"
#include "vit/nn/attention.h"

namespace {

constexpr int64_t kDim = 192, kHeads = 3;
constexpr int64_t kSides[] = {16, 32, 64, 128};
constexpr double kLongest = 1.5;  // seconds; a size is left out when the one before says that it would take more
constexpr int64_t kMostBytes = 3LL << 30;  // what a mechanism may hold at a size for the next to be tried

struct FlopSink : vit::CostSink {
  double flops = 0.0;
  void add_cost(const std::string&, std::string_view, double count, double) override { flops += count; }
};

struct Measured {
  double seconds = 0.0, flops = 0.0;
  int64_t bytes = 0;
};

vit::Tensor random_tokens(int64_t tokens) {
  vit::Tensor x = vit::Tensor::empty({1, tokens, kDim});
  vit::Rng rng(1, 1);
  for (float& value : x.span<float>()) value = rng.uniform() - 0.5f;
  return x;
}

Measured measure(const std::string& name, int64_t side, int64_t prefix) {
  const auto& traits = vit::attention_registry().find(name).traits;
  const vit::Grid grid{side, side};
  const vit::AttentionShape shape{.dim = kDim,
                                  .num_heads = kHeads,
                                  .grid = grid,
                                  .prefix_tokens = prefix,
                                  .memory_dim = traits.needs_memory ? kDim : 0};
  const auto mechanism = vit::build_attention(vit::ConfigNode::make_scalar(name, true), shape);
  mechanism->visit_parameters(
      [](const std::string& path, vit::Parameter& parameter) { vit::initialise_parameter(path, parameter, 1); });
  mechanism->visit_modules([](const std::string&, vit::Module& module) { module.prepare(); });
  const vit::Tensor x = random_tokens(prefix + grid.count());
  vit::AttentionInput input{.grid = grid, .prefix_tokens = prefix};
  if (traits.needs_memory) {
    input.memory = x;
    input.memory_grids = {grid};
  }
  vit::Context ctx;
  FlopSink sink;
  ctx.costs = &sink;
  mechanism->forward(ctx, x, input);
  ctx.costs = nullptr;
  Measured result{.seconds = 1e30, .flops = sink.flops, .bytes = ctx.arena.bytes_held()};
  const vit::Timer all;
  for (int run = 0; run < 3 || (all.seconds() < 0.2 && run < 50); ++run) {
    const vit::Timer timer;
    mechanism->forward(ctx, x, input);
    result.seconds = std::min(result.seconds, timer.seconds());
  }
  return result;
}

double peak_flops_per_second() {
  const int64_t threads = vit::num_threads();
  std::vector<int64_t> flops(static_cast<size_t>(threads));
  const vit::Timer timer;
  vit::parallel_for(threads,
                    [&](int64_t part) { vit::kernels::kernels().fma_peak(200000, &flops[static_cast<size_t>(part)]); });
  const double seconds = timer.seconds();
  double total = 0.0;
  for (const int64_t count : flops) total += static_cast<double>(count);
  return total / seconds;
}

void print_row(const std::string& name) {
  const auto& traits = vit::attention_registry().find(name).traits;
  const int64_t prefix = traits.needs_prefix ? 1 : 0;
  std::string row =
      fmt::format("{:<20} {:<9}", name, vit::enum_names(traits.family)[static_cast<size_t>(traits.family)].second);
  std::vector<Measured> sizes;
  for (const int64_t side : kSides) {
    const bool too_long = !sizes.empty() && 16.0 * sizes.back().seconds > 16.0 * kLongest;
    if (too_long || (!sizes.empty() && sizes.back().bytes > kMostBytes / 16)) break;
    sizes.push_back(measure(name, side, prefix));
    row += fmt::format(" {:9.3f}", 1e3 * sizes.back().seconds);
  }
  row += std::string(10 * (std::size(kSides) - sizes.size()), ' ');
  const size_t last = sizes.size() - 1;
  const double growth = last > 0 ? std::log(sizes[last].seconds / sizes[last - 1].seconds) / std::log(4.0) : 0.0;
  const Measured& middle = sizes[std::min<size_t>(1, last)];
  fmt::print("{} {:8.2f} {:7.1f} % {:>9.1f} MB   {}\n", row, growth,
             100.0 * middle.flops / middle.seconds / peak_flops_per_second(),
             1e-6 * static_cast<double>(sizes[last].bytes), traits.complexity);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<std::string> names(argv + 1, argv + argc);
  if (names.empty()) names = vit::attention_registry().names();
  fmt::print("{} threads, {} channels, {} heads; milliseconds of one picture by number of tokens\n", vit::num_threads(),
             kDim, kHeads);
  fmt::print("{:<20} {:<9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9} {:>12}\n", "mechanism", "family", "256", "1024", "4096",
             "16384", "growth", "of peak", "memory");
  for (const std::string& name : names) print_row(name);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "zoo_bench: {}\n", error.what());
  return 2;
}
