// timm's eval transform: timm/data/transforms_factory.py (transforms_imagenet_eval) and config.py
// (resolve_data_config).
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "vit/core/names.h"
#include "vit/image/preprocess.h"
#include "vit/io/json.h"

namespace vit {

namespace {

constexpr int64_t kMaxSide = 16384;

std::array<float, 3> to_floats(const std::array<double, 3>& values) {
  return {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

void check_config(const TimmPreprocess& config) {
  const auto [height, width] = config.input_size;
  if (height < 1 || height > kMaxSide || width < 1 || width > kMaxSide)
    fail_usage("preprocess: expected input_size of 1 to ", kMaxSide, ", got ", height, " x ", width);
  if (!(config.crop_pct > 0.01 && config.crop_pct <= 10.0))
    fail_usage("preprocess: expected crop_pct above 0.01 and up to 10, got ", config.crop_pct);
}

std::array<double, 3> three(const std::vector<double>& values, const JsonObject& config, const std::string& key) {
  if (values.size() == 1) return {values[0], values[0], values[0]};
  if (values.size() != 3) config.refuse(key, "1 or 3 numbers");
  return {values[0], values[1], values[2]};
}

}  // namespace

Preprocessor Preprocessor::timm(const TimmPreprocess& config) {
  check_config(config);
  const Filter filter = config.interpolation == "random" ? Filter::kBilinear : filter_from_name(config.interpolation);
  const Extent size = config.input_size;
  const Extent scale{static_cast<int64_t>(std::floor(static_cast<double>(size.height) / config.crop_pct)),
                     static_cast<int64_t>(std::floor(static_cast<double>(size.width) / config.crop_pct))};
  CenterCrop crop{.to = size, .rounding = CenterCrop::Rounding::kTorchvision, .fill = {0, 0, 0}};
  std::vector<ImageStep> steps;
  if (config.crop_mode == "squash") {
    steps.push_back(ResizeTo{scale, filter});
  } else if (config.crop_mode == "border") {
    steps.push_back(ResizeKeepRatio{scale, filter, true});
    for (size_t c = 0; c < 3; ++c)
      crop.fill[c] = static_cast<uint8_t>(std::clamp(std::nearbyint(255 * config.mean[c]), 0.0, 255.0));
  } else if (config.crop_mode == "center") {
    if (scale.height == scale.width)
      steps.push_back(ResizeShortest{scale.height, filter});
    else  // timm leaves its default here: the configured interpolation is not used for targets that are not square
      steps.push_back(ResizeKeepRatio{scale, Filter::kBilinear, false});
  } else {
    fail_usage("unknown crop_mode '", config.crop_mode, "'; known: center, squash, border");
  }
  steps.push_back(crop);
  return Preprocessor(std::move(steps), {.rescale = ToFloat::Rescale::kDivideBy255,
                                         .factor = 1.0 / 255.0,
                                         .normalize = true,
                                         .mean = to_floats(config.mean),
                                         .std = to_floats(config.std)});
}

Preprocessor Preprocessor::from_timm(const nlohmann::json& pretrained_cfg, const std::string& name,
                                     const PreprocessOverrides& overrides) {
  const JsonObject json(pretrained_cfg, name);
  TimmPreprocess config;
  const std::vector<int64_t> size = json.get_ints("input_size", {3, 224, 224}, {1, kMaxSide});
  if (size.size() != 3 || size[0] != 3) json.refuse("input_size", "[3, height, width]");
  config.input_size = {size[1], size[2]};
  if (overrides.image_size) config.input_size = {*overrides.image_size, *overrides.image_size};
  config.interpolation = json.get_string("interpolation", config.interpolation);
  config.crop_pct = json.get_double("crop_pct", config.crop_pct, {0.0, 10.0});
  if (config.crop_pct == 0.0) config.crop_pct = TimmPreprocess{}.crop_pct;  // Python's `crop_pct or default`
  config.crop_mode = json.get_string("crop_mode", config.crop_mode);
  config.mean = three(json.get_doubles("mean", {config.mean.begin(), config.mean.end()}), json, "mean");
  config.std = three(json.get_doubles("std", {config.std.begin(), config.std.end()}), json, "std");
  try {
    return timm(config);
  } catch (const Error& error) {
    fail_usage(name, ": ", error.what());
  }
}

}  // namespace vit
