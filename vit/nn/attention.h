// The one interface of every attention mechanism, and the registry they enter by themselves.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "vit/autograd/ops.h"
#include "vit/core/registry.h"
#include "vit/nn/module.h"

namespace vit {

class ConfigNode;

/// Extents of a token grid.
struct Grid {
  int64_t height = 0, width = 0;
  int64_t count() const { return height * width; }
};

/// What a mechanism may use beside the tokens.
struct AttentionInput {
  Grid grid{};                ///< layout of the patch tokens, for mechanisms that are spatial
  int64_t prefix_tokens = 0;  ///< class, distillation and register tokens in front of the grid
  Var bias{};                 ///< added to the scores: [H or 1, N, N]; undefined: none
  LinearOptions residual{};   ///< the block's skip connection and layer scale, fused into the last projection
  int64_t wanted_tokens = 0;  ///< when > 0, only the first so many output tokens are needed: [B, wanted_tokens, C]
};

class Attention : public Module {
 public:
  /// x [B, N, C] -> [B, N, C] (or fewer tokens, see AttentionInput::wanted_tokens). A mechanism that computes scores
  /// offers them to observers as "probs", [B, H, N, N], and what they were before the softmax as "scores". (The block
  /// observes "layout" for those who read them: prefix tokens, grid height, grid width, [3].)
  virtual Var forward(Context& ctx, const Var& x, const AttentionInput& input) const = 0;
};

/// Width of the tokens and number of heads: what every mechanism is told by its block.
struct AttentionShape {
  int64_t dim = 0;
  int64_t num_heads = 1;
};

/// Builds a mechanism from its shape and its own options node.
using AttentionFactory = std::function<std::unique_ptr<Attention>(const AttentionShape&, const ConfigNode& options)>;

Registry<AttentionFactory>& attention_registry();

}  // namespace vit

/// At the end of a mechanism's file: all the wiring it needs. `factory` is an AttentionFactory.
#define VITKIT_REGISTER_ATTENTION(name, factory) \
  [[maybe_unused]] static const bool vitkit_attention_registered = ::vit::attention_registry().add(name, factory)
