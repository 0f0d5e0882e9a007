#include "vit/explain/explained_model.h"

#include <utility>

#include "vit/explain/subject.h"
#include "vit/io/checkpoint.h"
#include "vit/models/build.h"

namespace vit {

ExplainedModel::Load ExplainedModel::from(const Checkpoint& checkpoint, std::array<int64_t, 2> input_size,
                                          uint64_t seed) {
  return [checkpoint, input_size, seed](Purpose purpose) {
    std::shared_ptr<ImageModel> model = load_model(checkpoint, {.input_size = {}, .seed = seed, .purpose = purpose});
    if (model->info().input_size != input_size) model->set_input_size(input_size[0], input_size[1]);
    return model;
  };
}

const ImageModel& ExplainedModel::get(std::shared_ptr<const ImageModel>& model, Purpose purpose) const {
  const std::lock_guard lock(mutex_);
  if (!model) model = load_(purpose);
  return *model;
}

std::shared_ptr<const ExplainedModel> ExplainedModel::randomized(uint64_t seed) const {
  const std::lock_guard lock(mutex_);
  if (!randomized_ || random_seed_ != seed) {
    randomized_ = std::make_shared<ExplainedModel>([load = load_, seed](Purpose purpose) {
      // What was prepared has no plain weights left that could be drawn anew.
      std::shared_ptr<ImageModel> model = load(Purpose::training);
      initialise_parameters(*model, seed, purpose);
      return model;
    });
    random_seed_ = seed;
  }
  return randomized_;
}

const std::vector<std::string>& ExplainedModel::offers(const std::function<void(Context&, const Tensor&)>& run) const {
  std::call_once(asked_, [&] { offers_ = offered_names(fast(), run); });
  return offers_;
}

}  // namespace vit
