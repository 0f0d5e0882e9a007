// A model in the forms that explanations need: packed for fast passes, plain for gradients, with random weights.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "vit/models/load.h"
#include "vit/models/model.h"

namespace vit {

class Checkpoint;

/// Thread-safe. The forms are made when they are first asked for.
class ExplainedModel {
 public:
  using Load = std::function<std::shared_ptr<ImageModel>(Purpose)>;

  /// `load` gives the model for a purpose, ready for its input size; `fast` is the one for inference where it is there
  /// already.
  explicit ExplainedModel(Load load, std::shared_ptr<const ImageModel> fast = nullptr)
      : load_(std::move(load)), fast_(std::move(fast)) {}
  /// How a checkpoint's model is loaded for pictures of height x width. Errors of it: as load_model.
  static Load from(const Checkpoint& checkpoint, std::array<int64_t, 2> input_size, uint64_t seed = 0);

  /// Packed weights; no gradient goes through it.
  const ImageModel& fast() const { return get(fast_, Purpose::inference); }
  /// Plain weights, which have no gradient of their own: gradients go to its input.
  const ImageModel& differentiable() const { return get(differentiable_, Purpose::training); }
  /// The one that a context needs.
  const ImageModel& for_context(const Context& ctx) const { return ctx.tape ? differentiable() : fast(); }

  /// The same architecture, every parameter drawn anew; the last seed's is kept. The last one made is kept: all
  /// pictures ask the same.
  std::shared_ptr<const ExplainedModel> randomized(uint64_t seed) const;

  /// What `run` offers to observers (offered_names()), found once.
  const std::vector<std::string>& offers(const std::function<void(Context&, const Tensor&)>& run) const;

 private:
  const ImageModel& get(std::shared_ptr<const ImageModel>& model, Purpose purpose) const;

  Load load_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const ImageModel> fast_, differentiable_;
  mutable std::shared_ptr<const ExplainedModel> randomized_;
  mutable uint64_t random_seed_ = 0;
  mutable std::once_flag asked_;
  mutable std::vector<std::string> offers_;
};

}  // namespace vit
