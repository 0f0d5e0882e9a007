// Subject: what an explanation is about: one number that a model gives for pixels. A class's logit, a detection's, a
// word's; every method of vit/explain works on any of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/models/model.h"

namespace vit {

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

  /// The same question to a model of the same architecture with random weights: what of an explanation does not come
  /// from what the model has learnt (Adebayo et al. 2018, "Sanity checks for saliency maps").
  virtual std::unique_ptr<Subject> randomized(uint64_t seed) const = 0;
};

}  // namespace vit
