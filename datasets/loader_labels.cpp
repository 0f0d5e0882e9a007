// Batches of pictures with class numbers.
#include <cstring>
#include <optional>
#include <utility>

#include "datasets/augment_random.h"
#include "datasets/label_check.h"
#include "datasets/label_loader.h"
#include "datasets/loader.h"
#include "datasets/mix.h"
#include "datasets/transform.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

class LabelRecipe : public BatchRecipe {
 public:
  /// Without a mixer targets are i64 [B].
  LabelRecipe(const Dataset& dataset, std::shared_ptr<const Transform> transform, std::optional<Mixer> mixer,
              uint64_t seed)
      : dataset_(dataset), transform_(std::move(transform)), mixer_(std::move(mixer)), seed_(seed) {}

  int64_t pixels_per_picture() const override {
    return transform_->output_size().height * transform_->output_size().width;
  }
  std::unique_ptr<BatchInProgress> begin(const BatchOrder& order, PictureStore& store) const override;

 private:
  class InProgress;

  const Dataset& dataset_;
  std::shared_ptr<const Transform> transform_;
  std::optional<Mixer> mixer_;
  uint64_t seed_;
};

class LabelRecipe::InProgress : public BatchInProgress {
 public:
  InProgress(const LabelRecipe& recipe, const BatchOrder& order, PictureStore& store)
      : recipe_(recipe), order_(order), store_(store), floats_(3 * recipe.pixels_per_picture()) {
    const vit::Extent size = recipe.transform_->output_size();
    images_ = vit::Tensor::empty({static_cast<int64_t>(order.indices.size()), 3, size.height, size.width});
  }

  void make(int64_t b) override {
    const vit::Image image = store_.get(order_.indices[static_cast<size_t>(b)]).image;
    vit::Rng rng(recipe_.seed_, stream_at(RandomUse::kPicture, order_.epoch, order_.first_position + b));
    recipe_.transform_->run(image, rng, images_.f32() + b * floats_);
  }

  /// Closes the gaps of unreadable pictures, then mixes.
  void finish(const std::vector<int64_t>& made, vit::Batch& batch) override {
    std::vector<int64_t> labels;
    for (const int64_t from : made) {
      const auto to = static_cast<int64_t>(labels.size());
      if (to < from)
        std::memcpy(images_.f32() + to * floats_, images_.f32() + from * floats_,
                    static_cast<size_t>(floats_) * sizeof(float));
      labels.push_back(recipe_.dataset_.label(order_.indices[static_cast<size_t>(from)]));
    }
    const auto count = static_cast<int64_t>(labels.size());
    batch.images = count < images_.size(0) ? images_.slice(0, count) : std::move(images_);
    vit::Rng rng(recipe_.seed_, stream_at(RandomUse::kMix, order_.epoch, order_.batch));
    batch.targets = recipe_.mixer_ ? recipe_.mixer_->apply(batch.images, labels, order_.epoch, rng)
                                   : vit::Tensor::from(labels, {count});
  }

 private:
  const LabelRecipe& recipe_;
  const BatchOrder& order_;
  PictureStore& store_;
  int64_t floats_;  // of a picture
  vit::Tensor images_;
};

std::unique_ptr<BatchInProgress> LabelRecipe::begin(const BatchOrder& order, PictureStore& store) const {
  return std::make_unique<InProgress>(*this, order, store);
}

/// The class of each picture. Errors (usage): no pictures; a class outside of class_names().
std::vector<int64_t> checked_labels(const Dataset& dataset) {
  if (dataset.size() < 1) vit::fail_usage("data: there are no pictures");
  require_labels(dataset, "data");
  return labels_of(dataset);
}

}  // namespace

std::unique_ptr<Loader> make_label_loader(const Dataset& dataset, std::unique_ptr<const Transform> transform,
                                          const AugmentConfig& augment, const SamplerConfig& sampler,
                                          const LoaderConfig& loader, uint64_t seed) {
  const auto classes = static_cast<int64_t>(dataset.class_names().size());
  auto recipe = std::make_shared<LabelRecipe>(dataset, std::move(transform), Mixer(augment, classes), seed);
  return std::make_unique<Loader>(dataset, Sampler(sampler, checked_labels(dataset), classes, seed), std::move(recipe),
                                  loader);
}

std::unique_ptr<Loader> make_label_loader(const Dataset& dataset, std::unique_ptr<const Transform> transform,
                                          const LoaderConfig& loader) {
  LoaderConfig config = loader;
  config.drop_last = false;
  SamplerConfig sequential;
  sequential.sampler = "sequential";
  const Sampler in_order(sequential, checked_labels(dataset), static_cast<int64_t>(dataset.class_names().size()), 0);
  auto recipe = std::make_shared<LabelRecipe>(dataset, std::move(transform), std::nullopt, uint64_t{0});
  return std::make_unique<Loader>(dataset, in_order, std::move(recipe), config);
}

std::unique_ptr<Loader> make_train_loader(const Dataset& dataset, const vit::Preprocessor& preprocessor,
                                          const AugmentConfig& augment, const SamplerConfig& sampler,
                                          const LoaderConfig& loader, uint64_t seed) {
  return make_label_loader(dataset, std::make_unique<TrainTransform>(augment, preprocessor), augment, sampler, loader,
                           seed);
}

std::unique_ptr<Loader> make_eval_loader(const Dataset& dataset, const vit::Preprocessor& preprocessor,
                                         const LoaderConfig& loader) {
  return make_label_loader(dataset, std::make_unique<EvalTransform>(preprocessor), loader);
}

}  // namespace datasets
