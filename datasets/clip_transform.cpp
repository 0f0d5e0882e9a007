#include "datasets/clip_transform.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "vit/core/check.h"
#include "vit/image/strip.h"

namespace datasets {

namespace {

/// The pre-processing of one frame.
vit::Preprocessor of_one_frame(const vit::Preprocessor& preprocessor, int64_t frames) {
  const std::optional<vit::Extent> strip = preprocessor.fixed_size();
  vit::check(strip && strip->height % frames == 0, "clips: the pre-processing makes no strip of ", frames, " frames");
  return {{vit::ResizeTo{.to = {strip->height / frames, strip->width}}}, preprocessor.to_float()};
}

/// A class's name with every `a` in place of `b`, and the other way round.
std::string mirrored(std::string name, const std::string& a, const std::string& b) {
  for (size_t at = 0; at < name.size(); ++at) {
    const bool is_a = name.compare(at, a.size(), a) == 0;
    if (!is_a && name.compare(at, b.size(), b) != 0) continue;
    name.replace(at, (is_a ? a : b).size(), is_a ? b : a);
    at += (is_a ? b : a).size() - 1;
  }
  return name;
}

}  // namespace

ClipTransform::ClipTransform(int64_t frames, std::unique_ptr<const Transform> of_frame)
    : frames_(frames), of_frame_(std::move(of_frame)) {}

vit::Extent ClipTransform::output_size() const {
  const vit::Extent frame = of_frame_->output_size();
  return {frames_ * frame.height, frame.width};
}

void ClipTransform::run(const vit::Image& image, vit::Rng& rng, float* output) const {
  const vit::Extent size = of_frame_->output_size();
  const vit::Image strip = vit::fit_strip(image, frames_, size);
  const auto plane = static_cast<size_t>(size.height * size.width);
  const auto frames = static_cast<size_t>(frames_);
  std::vector<float> pixels(3 * plane);
  const vit::Rng drawn = rng;
  for (size_t t = 0; t < frames; ++t) {
    rng = drawn;
    of_frame_->run(vit::strip_frame(strip, frames_, static_cast<int64_t>(t)), rng, pixels.data());
    for (size_t c = 0; c < 3; ++c)
      std::memcpy(output + (c * frames + t) * plane, pixels.data() + c * plane, plane * sizeof(float));
  }
}

std::unique_ptr<Transform> clip_train_transform(const AugmentConfig& augment, const vit::Preprocessor& preprocessor,
                                                int64_t frames) {
  return std::make_unique<ClipTransform>(frames,
                                         std::make_unique<TrainTransform>(augment, of_one_frame(preprocessor, frames)));
}

std::unique_ptr<Transform> clip_eval_transform(const vit::Preprocessor& preprocessor, int64_t frames) {
  return std::make_unique<ClipTransform>(frames, std::make_unique<EvalTransform>(of_one_frame(preprocessor, frames)));
}

void require_mirrors_keep_classes(const AugmentConfig& augment, const std::vector<std::string>& class_names) {
  if (augment.no_aug) return;
  const auto refuse = [&](const char* key, const std::string& a, const std::string& b) {
    for (const std::string& name : class_names) {
      const std::string other = mirrored(name, a, b);
      if (other != name && std::find(class_names.begin(), class_names.end(), other) != class_names.end())
        vit::fail_usage(key, ": mirrored, '", name, "' is '", other, "'; set ", key, ": 0");
    }
  };
  if (augment.hflip > 0.0) refuse("hflip", "left", "right");
  if (augment.vflip > 0.0) refuse("vflip", "up", "down");
}

}  // namespace datasets
