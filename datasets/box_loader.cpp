#include "datasets/box_loader.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <variant>

#include "datasets/augment_random.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// The colour around pictures where pre-processing has no mean to take: the usual grey.
constexpr Colour kGrey = {114, 114, 114};
/// Boxes may reach this far outside of their picture, in pixels: coordinates are rounded.
constexpr double kTolerance = 1.0;

/// What pre-processing turns into 0.
Colour fill_colour(const vit::ToFloat& to_float) {
  if (!to_float.normalize) return kGrey;
  Colour colour{};
  for (size_t c = 0; c < 3; ++c)
    colour[c] = static_cast<uint8_t>(std::clamp(std::nearbyint(255.0 * to_float.mean[c]), 0.0, 255.0));
  return colour;
}

int64_t scaled_side(int64_t side, double factor, int64_t multiple) {
  const auto unit = static_cast<double>(multiple);
  return std::max<int64_t>(1, std::llround(static_cast<double>(side) * factor / unit)) * multiple;
}

/// Errors (usage): as make_box_train_loader.
void check_preprocessor(const vit::Preprocessor& preprocessor) {
  for (const vit::ImageStep& step : preprocessor.steps())
    if (std::holds_alternative<vit::CenterCrop>(step))
      vit::fail_usage("data: the model's pre-processing crops pictures (", preprocessor.description(),
                      "), which would cut boxes; a detector's resizes them");
  if (!preprocessor.fixed_size() && !preprocessor.padding().enabled)
    vit::fail_usage("data: the model's pre-processing gives pictures different sizes (", preprocessor.description(),
                    ") and does not pad them; batches need one size");
}

/// A picture of the set with its boxes, whatever the store has scaled it to. Errors: it cannot be read, or is not the
/// one that was annotated.
BoxSample load_sample(const BoxDataset& dataset, PictureStore& store, int64_t index) {
  const StoredPicture stored = store.get(index);
  BoxSample sample{stored.image, dataset.boxes(index)};
  const auto height = static_cast<double>(stored.original.height), width = static_cast<double>(stored.original.width);
  const double scale_y = static_cast<double>(stored.image.height()) / height;
  const double scale_x = static_cast<double>(stored.image.width()) / width;
  for (BoxAnnotation& annotation : sample.boxes) {
    vit::Corners& box = annotation.box;
    if (box[2] > width + kTolerance || box[3] > height + kTolerance)
      vit::fail(dataset.source(index), ": it has ", stored.original.width, " x ", stored.original.height,
                " pixels, but a box reaches to ", box[2], ", ", box[3],
                ": the boxes were drawn on a picture of another size; annotate it again, or restore that picture");
    box = vit::clip_box(box, width, height);
    box = {box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y};
    annotation.area *= scale_x * scale_y;
  }
  return sample;
}

class BoxRecipe : public BatchRecipe {
 public:
  /// Without `augment`: evaluation.
  BoxRecipe(const BoxDataset& dataset, const vit::Preprocessor& preprocessor,
            const std::optional<BoxAugmentConfig>& augment, uint64_t seed)
      : dataset_(dataset), preprocessor_(preprocessor), seed_(seed) {
    check_preprocessor(preprocessor);
    if (!augment || augment->no_aug) return;
    augment_.emplace(*augment, fill_colour(preprocessor.to_float()));
    multiscale_ = augment->multiscale;
    step_ = augment->multiscale_step;
  }

  int64_t pixels_per_picture() const override {
    // Sizes of their own are hundreds of pixels long: a picture is a task.
    const vit::Extent size = preprocessor_.fixed_size().value_or(vit::Extent{512, 512});
    return size.height * size.width;
  }
  std::unique_ptr<BatchInProgress> begin(const BatchOrder& order, PictureStore& store) const override;

 private:
  class InProgress;

  /// The batch's: under multiscale of a random size.
  vit::Preprocessor preprocessor_of(const BatchOrder& order) const {
    if (multiscale_ <= 0.0) return preprocessor_;
    vit::Rng rng(seed_, stream_at(RandomUse::kMix, order.epoch, order.batch));
    return scaled_preprocessor(preprocessor_, random_between(rng, 1.0 - multiscale_, 1.0 + multiscale_), step_);
  }

  const BoxDataset& dataset_;
  vit::Preprocessor preprocessor_;
  std::optional<BoxAugment> augment_;
  double multiscale_ = 0.0;
  int64_t step_ = 1;
  uint64_t seed_;
};

class BoxRecipe::InProgress : public BatchInProgress {
 public:
  InProgress(const BoxRecipe& recipe, const BatchOrder& order, PictureStore& store)
      : recipe_(recipe),
        order_(order),
        store_(store),
        preprocessor_(recipe.preprocessor_of(order)),
        pixels_(order.indices.size()),
        targets_(order.indices.size()) {}

  void make(int64_t b) override {
    const auto at = static_cast<size_t>(b);
    BoxSample sample = load_sample(recipe_.dataset_, store_, order_.indices[at]);
    if (recipe_.augment_) {
      vit::Rng rng(recipe_.seed_, stream_at(RandomUse::kPicture, order_.epoch, order_.first_position + b));
      sample = (*recipe_.augment_)(sample, rng, [&](vit::Rng& draw) { return another(draw); });
    }
    pixels_[at] = preprocessor_(sample.image);
    targets_[at] = targets_of(sample.boxes, sample.image.height(), sample.image.width());
  }

  void finish(const std::vector<int64_t>& made, vit::Batch& batch) override {
    std::vector<vit::Tensor> pixels;
    for (const int64_t b : made) {
      pixels.push_back(std::move(pixels_[static_cast<size_t>(b)]));
      batch.boxes.push_back(std::move(targets_[static_cast<size_t>(b)]));
    }
    vit::PixelBatch collated = preprocessor_.collate(pixels);
    batch.images = std::move(collated.pixel_values);
    batch.pixel_mask = std::move(collated.pixel_mask);
  }

 private:
  /// For mosaics. One that cannot be read is reported when its own turn comes.
  std::optional<BoxSample> another(vit::Rng& rng) const {
    const int64_t index = random_index(rng, recipe_.dataset_.size());
    try {
      return load_sample(recipe_.dataset_, store_, index);
    } catch (const vit::Error&) {
      return std::nullopt;
    }
  }

  const BoxRecipe& recipe_;
  const BatchOrder& order_;
  PictureStore& store_;
  vit::Preprocessor preprocessor_;
  std::vector<vit::Tensor> pixels_;
  std::vector<vit::BoxTargets> targets_;
};

std::unique_ptr<BatchInProgress> BoxRecipe::begin(const BatchOrder& order, PictureStore& store) const {
  return std::make_unique<InProgress>(*this, order, store);
}

/// Errors (usage): no pictures; a sampler that needs a class of each picture.
Sampler make_sampler(const BoxDataset& dataset, const SamplerConfig& config, uint64_t seed) {
  if (dataset.size() < 1) vit::fail_usage("data: there are no pictures");
  if (config.sampler == "balanced" || config.sampler == "weighted")
    vit::fail_usage("sampler: ", config.sampler,
                    " goes by the class of each picture, and pictures with boxes have several; take shuffled");
  return Sampler(config, std::vector<int64_t>(static_cast<size_t>(dataset.size()), 0), 1, seed);
}

}  // namespace

vit::Preprocessor scaled_preprocessor(const vit::Preprocessor& preprocessor, double factor, int64_t multiple) {
  const auto side = [&](int64_t& value) {
    if (value > 0) value = scaled_side(value, factor, multiple);
  };
  std::vector<vit::ImageStep> steps = preprocessor.steps();
  for (vit::ImageStep& step : steps) {
    if (auto* resize_to = std::get_if<vit::ResizeTo>(&step)) {
      side(resize_to->to.height);
      side(resize_to->to.width);
    } else if (auto* shortest = std::get_if<vit::ResizeShortest>(&step)) {
      side(shortest->size);
    } else if (auto* both = std::get_if<vit::ResizeShortestLongest>(&step)) {
      side(both->shortest);
      side(both->longest);
    } else if (auto* ratio = std::get_if<vit::ResizeKeepRatio>(&step)) {
      side(ratio->to.height);
      side(ratio->to.width);
    } else if (auto* within = std::get_if<vit::ResizeWithin>(&step)) {
      side(within->limit.height);
      side(within->limit.width);
    } else {
      vit::fail_usage("data: multiscale does not go with pre-processing that crops (", preprocessor.description(), ")");
    }
  }
  vit::BatchPadding padding = preprocessor.padding();
  if (padding.to) {
    side(padding.to->height);
    side(padding.to->width);
  }
  return vit::Preprocessor(std::move(steps), preprocessor.to_float(), padding);
}

std::unique_ptr<Loader> make_box_train_loader(const BoxDataset& dataset, const vit::Preprocessor& preprocessor,
                                              const BoxAugmentConfig& augment, const SamplerConfig& sampler,
                                              const LoaderConfig& loader, uint64_t seed) {
  return std::make_unique<Loader>(dataset, make_sampler(dataset, sampler, seed),
                                  std::make_shared<BoxRecipe>(dataset, preprocessor, augment, seed), loader);
}

std::unique_ptr<Loader> make_box_eval_loader(const BoxDataset& dataset, const vit::Preprocessor& preprocessor,
                                             const LoaderConfig& loader) {
  LoaderConfig config = loader;
  config.drop_last = false;
  SamplerConfig sequential;
  sequential.sampler = "sequential";
  return std::make_unique<Loader>(dataset, make_sampler(dataset, sequential, 0),
                                  std::make_shared<BoxRecipe>(dataset, preprocessor, std::nullopt, uint64_t{0}),
                                  config);
}

}  // namespace datasets
