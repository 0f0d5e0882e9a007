// The pre-norm transformer block (Dosovitskiy et al. 2021, eq. 2 and 3), with layer scale (Touvron et al. 2021, CaiT).
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "vit/nn/attention.h"
#include "vit/nn/mlp.h"
#include "vit/nn/norm.h"

namespace vit {

struct BlockOptions {
  int64_t dim = 0;
  NormKind norm = NormKind::layer_norm;
  float norm_eps = 1e-6f;
  std::optional<float> init_values{};  ///< layer scale's start value; none: no layer scale
  bool own_scales = false;  ///< layer scale is gamma_1 and gamma_2 of the block (CaiT), not ls1.gamma and ls2.gamma
  MlpOptions mlp{};
};

/// What training leaves out at random.
struct BlockDropout {
  float proj_drop = 0.0f;  ///< dropout after the projections of attention and MLP
  float drop_path = 0.0f;  ///< stochastic depth: whole branches, per sample
};

class Block : public Module {
 public:
  Block(const BlockOptions& options, std::unique_ptr<Attention> attention);

  /// What a model does to the tokens [B, N, C] between attention and MLP, told the attention's keys: token merging.
  using Between = std::function<Var(Context&, const Var& x, const HeadColumns& keys)>;

  /// x [B, N, C] -> [B, N, C], or [B, wanted_tokens, C] when the input asks for fewer, or as many as `between` leaves.
  Var forward(Context& ctx, const Var& x, AttentionInput input, const Between& between = {}) const;

  /// Rebuilds what depends on the grid of the patch tokens, see Attention::set_grid.
  void set_grid(Grid grid) { attention_->set_grid(grid); }

  /// Takes effect where Context::training is set.
  void set_dropout(const BlockDropout& dropout) { dropout_ = dropout; }

 private:
  Var attend(Context& ctx, const Var& x, AttentionInput input, const LinearOptions& skip) const;
  struct LayerScale : Module {
    using Module::add_parameter;
  };
  Norm norm1_, norm2_;
  std::unique_ptr<Attention> attention_;
  Parameter gamma1_, gamma2_;
  LayerScale ls1_, ls2_;
  Mlp mlp_;
  BlockDropout dropout_;
};

}  // namespace vit
