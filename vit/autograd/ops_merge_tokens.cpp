#include "vit/autograd/merge_tokens.h"
#include "vit/autograd/op_support.h"

namespace vit {

namespace {

/// Columns that one part works on: few enough that a single image is shared out as well.
constexpr int64_t kColumns = 256;

/// The share [B, N] of each token in its place. Errors: as merge_tokens.
Tensor shares_of(Context& ctx, const Tensor& place, const Tensor& weights, int64_t batch, int64_t tokens,
                 int64_t count) {
  check(place.shape() == Shape({batch, tokens}) && weights.shape() == place.shape(),
        "merge_tokens: place and weights must be ", Shape({batch, tokens}), ", got ", place.shape(), " and ",
        weights.shape());
  Tensor shares = ctx.arena.empty({batch, tokens});
  std::vector<float> totals(static_cast<size_t>(count));
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t* place_b = place.data<int64_t>() + b * tokens;
    const float* weights_b = weights.f32() + b * tokens;
    std::fill(totals.begin(), totals.end(), 0.0f);
    for (int64_t n = 0; n < tokens; ++n) {
      check(place_b[n] >= 0 && place_b[n] < count, "merge_tokens: place ", place_b[n], " is not within [0, ", count,
            ")");
      totals[static_cast<size_t>(place_b[n])] += weights_b[n];
    }
    check(std::all_of(totals.begin(), totals.end(), [](float total) { return total > 0.0f; }),
          "merge_tokens: a place has no token with a positive weight");
    for (int64_t n = 0; n < tokens; ++n)
      shares.f32()[b * tokens + n] = weights_b[n] / totals[static_cast<size_t>(place_b[n])];
  }
  return shares;
}

/// Calls body(b, first column, columns) for blocks of columns of all samples, in parallel.
template <class Body>
void for_columns(int64_t batch, int64_t channels, const Body& body) {
  const int64_t blocks = (channels + kColumns - 1) / kColumns;
  parallel_for(batch * blocks, [&](int64_t part) {
    const int64_t first = part % blocks * kColumns;
    body(part / blocks, first, std::min(kColumns, channels - first));
  });
}

}  // namespace

Var merge_tokens(Context& ctx, const Var& x, const Tensor& place, const Tensor& weights, int64_t count) {
  StageTimer timer(ctx.profile, "merge_tokens");
  check(x.value().rank() == 3 && count >= 0, "merge_tokens: expected tokens [B, N, C], got ", x.shape());
  const int64_t batch = x.size(0), tokens = x.size(1), channels = x.size(2);
  const Tensor shares = shares_of(ctx, place, weights, batch, tokens, count);
  Tensor y = ctx.arena.empty({batch, count, channels});
  for_columns(batch, channels, [&](int64_t b, int64_t first, int64_t columns) {
    for (int64_t g = 0; g < count; ++g) std::fill_n(y.f32() + (b * count + g) * channels + first, columns, 0.0f);
    for (int64_t n = 0; n < tokens; ++n) {
      float* y_g = y.f32() + (b * count + place.data<int64_t>()[b * tokens + n]) * channels + first;
      const float* x_n = x.value().f32() + (b * tokens + n) * channels + first;
      const float share = shares.f32()[b * tokens + n];
      for (int64_t c = 0; c < columns; ++c) y_g[c] += share * x_n[c];
    }
  });
  report_traffic(ctx, "merge_tokens", static_cast<double>(x.value().numel() + y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, place, shares, count](Tape& tape, const Tensor& d_y) {
    Tensor d_x = tape.empty(x.shape());
    const int64_t rows = x.size(1), width = x.size(2);
    for_columns(x.size(0), width, [&](int64_t b, int64_t first, int64_t columns) {
      for (int64_t n = 0; n < rows; ++n) {
        const float* d_y_g = d_y.f32() + (b * count + place.data<int64_t>()[b * rows + n]) * width + first;
        kernels::kernels().scale(d_x.f32() + (b * rows + n) * width + first, d_y_g, shares.f32()[b * rows + n],
                                 columns);
      }
    });
    tape.accumulate(x, std::move(d_x));
  });
}

}  // namespace vit
