#include "datasets/caption_loader.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "datasets/augment_random.h"
#include "datasets/color_jitter.h"
#include "datasets/transform.h"
#include "datasets/transform_crop.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// A crop of the picture's own shape, give or take, and colours; then the model's own pre-processing, whatever it is.
class CaptionTransform : public Transform {
 public:
  CaptionTransform(const CaptionAugmentConfig& config, const vit::Preprocessor& preprocessor)
      : config_(config), last_(preprocessor) {
    config_.validate();
  }
  vit::Extent output_size() const override { return last_.output_size(); }

  void run(const vit::Image& image, vit::Rng& rng, float* output) const override {
    vit::check(image.defined(), "transform: the picture is undefined");
    const double shape = static_cast<double>(image.width()) / static_cast<double>(image.height());
    const vit::Window window = random_resized_crop({image.height(), image.width()}, config_.scale,
                                                   {config_.ratio[0] * shape, config_.ratio[1] * shape}, rng);
    vit::Image picture = crop(image, window);
    if (random_chance(rng, config_.hflip)) flip_horizontal(picture);
    if (config_.color_jitter > 0.0 || config_.hue > 0.0) jitter_color(picture, config_.color_jitter, config_.hue, rng);
    last_.run(picture, rng, output);
  }

 private:
  CaptionAugmentConfig config_;
  EvalTransform last_;
};

class CaptionRecipe : public BatchRecipe {
 public:
  /// Without a seed captions are the first.
  CaptionRecipe(const CaptionDataset& dataset, std::shared_ptr<const Transform> transform, std::optional<uint64_t> seed)
      : dataset_(dataset), transform_(std::move(transform)), seed_(seed) {}

  int64_t pixels_per_picture() const override {
    return transform_->output_size().height * transform_->output_size().width;
  }
  std::unique_ptr<BatchInProgress> begin(const BatchOrder& order, PictureStore& store) const override;

 private:
  class InProgress;

  const CaptionDataset& dataset_;
  std::shared_ptr<const Transform> transform_;
  std::optional<uint64_t> seed_;
};

class CaptionRecipe::InProgress : public BatchInProgress {
 public:
  InProgress(const CaptionRecipe& recipe, const BatchOrder& order, PictureStore& store)
      : recipe_(recipe),
        order_(order),
        store_(store),
        floats_(3 * recipe.pixels_per_picture()),
        captions_(order.indices.size()) {
    const vit::Extent size = recipe.transform_->output_size();
    images_ = vit::Tensor::empty({static_cast<int64_t>(order.indices.size()), 3, size.height, size.width});
  }

  void make(int64_t b) override {
    const int64_t index = order_.indices[static_cast<size_t>(b)];
    const vit::Image image = store_.get(index).image;
    const uint64_t seed = recipe_.seed_.value_or(0);
    vit::Rng rng(seed, stream_at(RandomUse::kPicture, order_.epoch, order_.first_position + b));
    recipe_.transform_->run(image, rng, images_.f32() + b * floats_);
    std::vector<std::string> known = recipe_.dataset_.captions(index);
    if (known.empty()) vit::fail(recipe_.dataset_.source(index), ": it has no caption");
    vit::Rng words(seed, stream_at(RandomUse::kCaption, order_.epoch, index));
    const int64_t chosen = recipe_.seed_ ? random_index(words, static_cast<int64_t>(known.size())) : 0;
    captions_[static_cast<size_t>(b)] = std::move(known[static_cast<size_t>(chosen)]);
  }

  /// Closes the gaps of unreadable pictures.
  void finish(const std::vector<int64_t>& made, vit::Batch& batch) override {
    for (const int64_t from : made) {
      const auto to = static_cast<int64_t>(batch.captions.size());
      if (to < from)
        std::memcpy(images_.f32() + to * floats_, images_.f32() + from * floats_,
                    static_cast<size_t>(floats_) * sizeof(float));
      batch.captions.push_back(std::move(captions_[static_cast<size_t>(from)]));
    }
    const auto count = static_cast<int64_t>(made.size());
    batch.images = count < images_.size(0) ? images_.slice(0, count) : std::move(images_);
  }

 private:
  const CaptionRecipe& recipe_;
  const BatchOrder& order_;
  PictureStore& store_;
  int64_t floats_;  // of a picture
  vit::Tensor images_;
  std::vector<std::string> captions_;
};

std::unique_ptr<BatchInProgress> CaptionRecipe::begin(const BatchOrder& order, PictureStore& store) const {
  return std::make_unique<InProgress>(*this, order, store);
}

/// Errors (usage): no pictures; a sampler that needs a class of each picture.
Sampler make_sampler(const CaptionDataset& dataset, const SamplerConfig& config, uint64_t seed) {
  if (dataset.size() < 1) vit::fail_usage("data: there are no pictures");
  if (config.sampler == "balanced" || config.sampler == "weighted")
    vit::fail_usage("sampler: ", config.sampler,
                    " goes by the class of each picture, and pictures with captions have none; take shuffled");
  return Sampler(config, std::vector<int64_t>(static_cast<size_t>(dataset.size()), 0), 1, seed);
}

}  // namespace

void CaptionAugmentConfig::validate() const {
  if (scale[0] > scale[1]) vit::fail_usage("augment.scale: expected smallest, largest; got ", scale[0], ", ", scale[1]);
  if (ratio[0] > ratio[1]) vit::fail_usage("augment.ratio: expected smallest, largest; got ", ratio[0], ", ", ratio[1]);
}

std::unique_ptr<Loader> make_caption_train_loader(const CaptionDataset& dataset, const vit::Preprocessor& preprocessor,
                                                  const CaptionAugmentConfig& augment, const SamplerConfig& sampler,
                                                  const LoaderConfig& loader, uint64_t seed) {
  std::shared_ptr<const Transform> transform;
  if (augment.no_aug)
    transform = std::make_shared<EvalTransform>(preprocessor);
  else
    transform = std::make_shared<CaptionTransform>(augment, preprocessor);
  return std::make_unique<Loader>(dataset, make_sampler(dataset, sampler, seed),
                                  std::make_shared<CaptionRecipe>(dataset, std::move(transform), seed), loader);
}

std::unique_ptr<Loader> make_caption_eval_loader(const CaptionDataset& dataset, const vit::Preprocessor& preprocessor,
                                                 const LoaderConfig& loader) {
  LoaderConfig config = loader;
  config.drop_last = false;
  SamplerConfig sequential;
  sequential.sampler = "sequential";
  auto recipe = std::make_shared<CaptionRecipe>(dataset, std::make_shared<EvalTransform>(preprocessor), std::nullopt);
  return std::make_unique<Loader>(dataset, make_sampler(dataset, sequential, 0), std::move(recipe), config);
}

}  // namespace datasets
