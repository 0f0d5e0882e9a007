// The one interface of every attention mechanism, and the registry they enter by themselves, with what there is to know
// about each (docs/attention.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "vit/autograd/ops.h"
#include "vit/core/config.h"
#include "vit/core/registry.h"
#include "vit/nn/module.h"

namespace vit {

/// Extents of a token grid.
struct Grid {
  int64_t height = 0, width = 0;
  int64_t count() const { return height * width; }
  bool operator==(const Grid&) const = default;
};

/// What a mechanism may use beside the tokens.
struct AttentionInput {
  Grid grid{};                ///< layout of the patch tokens, for mechanisms that are spatial
  int64_t prefix_tokens = 0;  ///< class, distillation and register tokens in front of the grid
  Var bias{};                 ///< added to the scores: [H or 1, N, N], or one row [B, 1, 1, N]; undefined: none
  LinearOptions residual{};   ///< the block's skip connection and layer scale, fused into the last projection
  int64_t wanted_tokens = 0;  ///< when > 0, only the first so many output tokens are needed: [B, wanted_tokens, C]
  Var memory{};               ///< what queries look at, where that is not x itself: [B, M, Cm]
  Tensor memory_mask{};       ///< f32 [B, M], added to the scores of memory's entries (-inf hides); undefined: none
  std::vector<Grid> memory_grids{};  ///< layout of memory: maps one after the other; empty: unknown
  /// Where not null, a mechanism with AttentionTraits::offers_keys leaves its keys here, for who merges tokens.
  HeadColumns* keys = nullptr;
};

class Attention : public Module {
 public:
  /// x [B, N, C] -> [B, N, C] (or fewer tokens, see AttentionInput::wanted_tokens). A mechanism that computes scores
  /// offers them to observers as "probs", [B, H, N, N] (or [B, H, N, M] with a memory, with zeros where a query cannot
  /// look), and what they were before the softmax as "scores"; where a tape records, "probs.grad" too (observed.h). A
  /// channel mechanism offers its factors or its channel matrix as "channel_probs", and the tokens that they made, [B,
  /// N, C], as "channel_values". (The block observes "layout" for those who read them: prefix tokens, grid height, grid
  /// width, [3].)
  virtual Var forward(Context& ctx, const Var& x, const AttentionInput& input) const = 0;

  /// Rebuilds what depends on the grid (position tables) for another one, as ImageModel::set_input_size does.
  virtual void set_grid(Grid) {}
};

/// What every mechanism is told by the model it is built into.
struct AttentionShape {
  int64_t dim = 0;            ///< C
  int64_t num_heads = 1;      ///< H
  Grid grid{};                ///< of the patch tokens at the native size; {0, 0}: the tokens have no grid
  int64_t prefix_tokens = 0;  ///< tokens in front of the grid
  int64_t memory_dim = 0;     ///< Cm; 0: there is no memory, x looks at itself
  int64_t layer = 0;          ///< place among its stage's blocks, for mechanisms that alternate (shifted windows)
};

enum class AttentionFamily { spatial, channel, region, decoder };
const std::vector<std::pair<AttentionFamily, std::string>>& enum_names(AttentionFamily);

/// What a reordering of the tokens does to the output, by construction; a test holds each mechanism to its word.
enum class Equivariance {
  none,    ///< positions matter
  tokens,  ///< any permutation of the patch tokens permutes the output alike
  axes,    ///< a permutation of the grid's rows, and one of its columns, do
};

/// Facts about a mechanism: `vitkit info --list attentions` prints them, and models check what it needs.
struct AttentionTraits {
  AttentionFamily family = AttentionFamily::spatial;
  std::string summary{};      ///< a line: what it does
  std::string formula{};      ///< plain text
  std::string source{};       ///< paper, and section or equation
  std::string complexity{};   ///< of one layer, such as "O(N^2 C)"
  bool needs_grid = false;    ///< works on patch tokens that form a grid
  bool takes_prefix = true;   ///< accepts class or register tokens in front of the patches
  bool needs_prefix = false;  ///< has nothing to do without them
  bool needs_memory = false;  ///< queries look at AttentionInput::memory
  /// Tokens may be merged between its layers: it leaves its keys in AttentionInput::keys, and takes a bias of one row.
  bool offers_keys = false;
  Equivariance equivariance = Equivariance::none;
  bool smooth = true;  ///< false: ReLUs, maxima, interpolation or choices make corners, near which differences mislead
};

/// Builds a mechanism from its shape and its own options node.
using AttentionFactory = std::function<std::unique_ptr<Attention>(const AttentionShape&, const ConfigNode& options)>;

struct AttentionEntry {
  AttentionTraits traits;
  AttentionFactory make;
  std::function<std::vector<config_detail::FieldHelp>()> options;  ///< explained, with their defaults
};

Registry<AttentionEntry>& attention_registry();

/// The mechanism of a configuration node, a name or a map with `type` and options; `fallback` where nothing is said.
/// Errors (usage), at the node's place: an unknown name, options that do not fit, a mechanism that cannot work in such
/// a place (no grid, prefix tokens, no memory), with what would help, or one whose constructor refuses its shape.
std::unique_ptr<Attention> build_attention(const ConfigNode& node, const AttentionShape& shape,
                                           const std::string& fallback = "self");

/// For mechanisms without a last projection to fuse it into: residual + gamma * y.
Var with_residual(Context& ctx, const Var& y, const LinearOptions& residual);

/// Enters a mechanism: a class with a struct `Options` (visit_fields, as configurations have) and a constructor
/// (AttentionShape, Options).
template <class Mechanism>
bool register_attention(const std::string& name, const AttentionTraits& traits) {
  using Options = typename Mechanism::Options;
  return attention_registry().add(name, {.traits = traits,
                                         .make =
                                             [](const AttentionShape& shape, const ConfigNode& options) {
                                               return std::make_unique<Mechanism>(shape, read_config<Options>(options));
                                             },
                                         .options =
                                             [] {
                                               config_detail::Describer describer;
                                               Options defaults;
                                               defaults.visit_fields(describer);
                                               return describer.fields();
                                             }});
}

}  // namespace vit

#define VITKIT_ATTENTION_CONCAT2(a, b) a##b
#define VITKIT_ATTENTION_CONCAT(a, b) VITKIT_ATTENTION_CONCAT2(a, b)
/// At the end of a mechanism's file: all the wiring it needs. After the name and the class come the traits, as
/// designated initialisers.
#define VITKIT_REGISTER_ATTENTION(name, Mechanism, ...)                                                \
  [[maybe_unused]] static const bool VITKIT_ATTENTION_CONCAT(vitkit_attention_registered_, __LINE__) = \
      ::vit::register_attention<Mechanism>(name, ::vit::AttentionTraits{__VA_ARGS__})
