// Self-attention with linear biases (ALiBi: Press et al. 2022, section 3) on a grid: from each score a multiple of the
// distance of the two patches is taken away, more in some heads than in others. Nothing is learned, and it extends to
// larger grids than those of training. Prefix tokens are at distance 0 of everything.
#include <algorithm>
#include <cmath>

#include "vit/attention/self.h"

namespace vit {

namespace {

enum class Distance { euclidean, manhattan, chebyshev };
[[maybe_unused]] const EnumNames<Distance>& enum_names(Distance) {
  static const EnumNames<Distance> names = {
      {Distance::euclidean, "euclidean"}, {Distance::manhattan, "manhattan"}, {Distance::chebyshev, "chebyshev"}};
  return names;
}

struct AlibiOptions : SelfAttentionOptions {
  Distance distance = Distance::euclidean;
  float slope = 1.0f;

  template <class V>
  void visit_fields(V& v) {
    SelfAttentionOptions::visit_fields(v);
    v("distance", distance, "How far two patches are apart.");
    v("slope", slope, "Factor on the slopes of all heads; 0: plain self-attention.", at_least(0));
  }
};

float distance_of(Distance kind, float rows, float columns) {
  switch (kind) {
    case Distance::euclidean:
      return std::hypot(rows, columns);
    case Distance::manhattan:
      return rows + columns;
    case Distance::chebyshev:
      return std::max(rows, columns);
  }
  fail("alibi: invalid distance");
}

/// The slopes of the paper: 2^(-8/H), 2^(-16/H), ..., 2^-8 for a power of two; for other numbers of heads those of the
/// next smaller power, and then every second one of the next larger.
float slope_of(int64_t head, int64_t heads) {
  int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  const auto nth = [](double index, int64_t count) { return std::exp2(-8.0 * index / static_cast<double>(count)); };
  const double slope = head < power ? nth(static_cast<double>(head + 1), power)
                                    : nth(static_cast<double>(2 * (head - power) + 1), 2 * power);
  return static_cast<float>(slope);
}

/// [H, N, N]
Tensor alibi_bias(const Grid& grid, int64_t prefix, int64_t heads, const AlibiOptions& options) {
  const int64_t tokens = prefix + grid.count();
  Tensor bias = Tensor::zeros({heads, tokens, tokens});
  // Distances repeat: there are only as many as differences of rows and columns.
  Tensor distances = Tensor::empty({std::max<int64_t>(1, grid.height), std::max<int64_t>(1, grid.width)});
  for (int64_t i = 0; i < distances.numel(); ++i)
    distances.f32()[i] = distance_of(options.distance, static_cast<float>(i / distances.size(1)),
                                     static_cast<float>(i % distances.size(1)));
  for (int64_t h = 0; h < heads; ++h) {
    const float slope = options.slope * slope_of(h, heads);
    for (int64_t n = 0; n < grid.count(); ++n) {
      float* row = bias.f32() + (h * tokens + prefix + n) * tokens + prefix;
      for (int64_t m = 0; m < grid.count(); ++m) {
        const int64_t rows = std::abs(n / grid.width - m / grid.width);
        const int64_t columns = std::abs(n % grid.width - m % grid.width);
        row[m] = -slope * distances.f32()[rows * distances.size(1) + columns];
      }
    }
  }
  return bias;
}

class AlibiAttention : public SelfAttention {
 public:
  using Options = AlibiOptions;
  AlibiAttention(const AttentionShape& shape, const AlibiOptions& options)
      : SelfAttention(shape, options), options_(options), prefix_(shape.prefix_tokens) {
    AlibiAttention::set_grid(shape.grid);
  }

  void set_grid(Grid grid) override {
    grid_ = grid;
    bias_ = alibi_bias(grid, prefix_, heads(), options_);
  }

 protected:
  Var score_bias(Context& ctx, const AttentionInput& input) const override {
    const bool native = input.grid == grid_ && input.prefix_tokens == prefix_;
    const Var bias = native ? bias_ : alibi_bias(input.grid, input.prefix_tokens, heads(), options_);
    return input.bias.defined() ? add(ctx, bias, input.bias) : bias;
  }

 private:
  AlibiOptions options_;
  int64_t prefix_;
  Grid grid_;
  Tensor bias_;
};

VITKIT_REGISTER_ATTENTION("alibi", AlibiAttention, .family = AttentionFamily::spatial,
                          .summary = "self-attention whose scores fall with the distance of the patches",
                          .formula = "softmax(q k^T / sqrt(D) - slope_h * distance(n, m)) v",
                          .source = "Press et al. 2022 (ALiBi), section 3; in two dimensions", .complexity = "O(N^2 C)",
                          .needs_grid = true);

}  // namespace

}  // namespace vit
