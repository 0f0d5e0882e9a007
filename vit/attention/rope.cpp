// Self-attention with rotary positions on a grid (axial RoPE: Su et al. 2021, "RoFormer", eq. 15; in two dimensions as
// EVA-02, Fang et al. 2023, and timm's RotaryEmbeddingCat have it).
//
// The patch in row r and column c turns the pair (2i, 2i + 1) of each head's queries and keys by the angle
//   r * temperature^(-i / (D/4))            for the pairs of the first half of the head, i = 0 .. D/4 - 1,
//   c * temperature^(-(i - D/4) / (D/4))    for those of the second half,
// so that scores depend on the differences of rows and of columns. Prefix tokens are not turned.
#include <array>
#include <cmath>

#include "vit/attention/self.h"
#include "vit/autograd/rotary.h"

namespace vit {

namespace {

struct RopeOptions : SelfAttentionOptions {
  float temperature = 10000.0f;
  std::array<int64_t, 2> reference{0, 0};

  template <class V>
  void visit_fields(V& v) {
    SelfAttentionOptions::visit_fields(v);
    v("temperature", temperature, "Base of the frequencies; the slowest pair turns by nearly 1 / temperature a patch.",
      above(0));
    v("reference", reference,
      "Grid whose rows and columns any other grid is stretched to (timm's ref_feat_shape); [0, 0]: patches are "
      "counted.",
      between(0, 1 << 16));
  }
  void validate() const {
    if ((reference[0] == 0) != (reference[1] == 0))
      fail_usage("reference [", reference[0], ", ", reference[1], "] must be a grid or [0, 0]");
  }
};

/// 0, 1, 2, ..., stretched from `extent` to `reference` where that is given.
float position(int64_t index, int64_t extent, int64_t reference) {
  const float at = static_cast<float>(index);
  return reference == 0 ? at : at / static_cast<float>(extent) * static_cast<float>(reference);
}

Rotation axial_rotation(const Grid& grid, int64_t head_dim, const RopeOptions& options) {
  const int64_t bands = head_dim / 4;
  Rotation rotation{Tensor::empty({grid.count(), 2 * bands}), Tensor::empty({grid.count(), 2 * bands})};
  for (int64_t token = 0; token < grid.count(); ++token) {
    const std::array<float, 2> at = {position(token / grid.width, grid.height, options.reference[0]),
                                     position(token % grid.width, grid.width, options.reference[1])};
    for (int64_t i = 0; i < 2 * bands; ++i) {
      const float exponent = static_cast<float>(i % bands) / static_cast<float>(bands);
      const float angle = at[static_cast<size_t>(i / bands)] * (1.0f / std::pow(options.temperature, exponent));
      rotation.sine.f32()[token * 2 * bands + i] = std::sin(angle);
      rotation.cosine.f32()[token * 2 * bands + i] = std::cos(angle);
    }
  }
  return rotation;
}

class RopeAttention : public SelfAttention {
 public:
  using Options = RopeOptions;
  /// Errors (usage): the heads' width is not divisible by 4.
  RopeAttention(const AttentionShape& shape, const RopeOptions& options)
      : SelfAttention(shape, options), options_(options) {
    if (head_dim() % 4 != 0)
      fail_usage("heads of ", head_dim(), " channels (dim ", dim(), " / num_heads ", heads(),
                 ") must be divisible by 4: pairs for rows and for columns");
    RopeAttention::set_grid(shape.grid);
  }

  void set_grid(Grid grid) override {
    grid_ = grid;
    rotation_ = axial_rotation(grid, head_dim(), options_);
  }

 protected:
  Var place_heads(Context& ctx, const Var& qkv, const AttentionInput& input) const override {
    check(input.prefix_tokens + input.grid.count() == qkv.size(1), "rope: ", qkv.size(1), " tokens are not ",
          input.prefix_tokens, " in front of a grid of ", input.grid.height, " x ", input.grid.width);
    // Queries and keys lie side by side: twice the heads.
    return rotate_heads(ctx, {qkv, 0}, 2 * heads(), head_dim(),
                        input.grid == grid_ ? rotation_ : axial_rotation(input.grid, head_dim(), options_));
  }

 private:
  RopeOptions options_;
  Grid grid_;
  Rotation rotation_;
};

VITKIT_REGISTER_ATTENTION("rope", RopeAttention, .family = AttentionFamily::spatial,
                          .summary = "self-attention whose queries and keys are turned by their row and column",
                          .formula = "softmax((R_n q_n) (R_m k_m)^T / sqrt(D)) v, R_n a rotation by row and column",
                          .source = "Su et al. 2021, eq. 15; on grids: Fang et al. 2023 (EVA-02)",
                          .complexity = "O(N^2 C)", .needs_grid = true);

}  // namespace

}  // namespace vit
