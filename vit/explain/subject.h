// Subject: what an explanation is about: one number that a model gives for pixels. A class's logit, a detection's, a
// word's; every method of vit/explain works on any of them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/models/model.h"

namespace vit {

/// Which tokens ask and which are looked at in one attention of a model.
enum class AttentionRole {
  picture,  ///< tokens of the picture, among themselves (others may be among them: class tokens, detection tokens)
  queries,  ///< queries or words, among themselves
  cross,    ///< queries or words look at tokens of the picture
};

/// What the tokens of one attention are: `prefix` class and register tokens, then the cells of the grid, row by row,
/// then the rest.
struct TokenLayout {
  int64_t prefix = 0, rows = 0, columns = 0;
  int64_t cells() const { return rows * columns; }
  bool operator==(const TokenLayout&) const = default;
};

class Subject {
 public:
  virtual ~Subject() = default;

  /// "tabby cat", "person at 0.93", "dog".
  virtual std::string name() const = 0;

  /// The model that observers see at work.
  virtual const ImageModel& model() const = 0;

  /// pixels [B, channels, height, width], normalised -> [B]: what gradients are taken of, before softmax or sigmoid.
  /// Differentiable where the context has a tape.
  virtual Var objective(Context& ctx, const Var& pixels) const = 0;

  /// The same as people read it, 0 to 1 (a probability): what perturbation is measured by. One number per sample.
  /// Thread-safe.
  virtual std::vector<double> scores(const Tensor& pixels) const = 0;

  /// The names of all that the model offers to observers on its way to the objective, in order
  /// ("blocks.0.attn.probs"); empty: nothing.
  virtual const std::vector<std::string>& offers() const;

  /// What the attention of this scope ("encoder.layers.0.self_attn") is between. A pool by attention is a query.
  virtual AttentionRole role_of(const std::string& module) const;

  /// The layout of the tokens that the attention of this scope looks at, where it is no part of what the model shows
  /// beside it ("layout"); none: it is.
  virtual std::optional<TokenLayout> layout_of(const std::string& module) const;

  /// How the objective reads the tokens behind an attention: [tokens], sum 1. For `picture` the class token, or all
  /// cells alike; for the others the query or word in question. Errors: fewer tokens than the layout has.
  virtual std::vector<double> readout(AttentionRole role, int64_t tokens, const TokenLayout& layout) const;

  /// Why no attention of the subject lies on one grid ("its words look at three maps at once"); empty: it does.
  virtual std::string attention_refusal() const { return {}; }

  /// The same question to a model of the same architecture with random weights: what of an explanation does not come
  /// from what the model has learnt (Adebayo et al. 2018, "Sanity checks for saliency maps").
  virtual std::unique_ptr<Subject> randomized(uint64_t seed) const = 0;
};

/// What a pass of `model` on zeros offers to observers: `run` is given an observed context and such pixels.
std::vector<std::string> offered_names(const ImageModel& model,
                                       const std::function<void(Context&, const Tensor& pixels)>& run);

}  // namespace vit
