#include "vit/image/preprocess.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "vit/image/preprocess_steps.h"

namespace vit {

namespace {

/// A resize whose result is only cropped next need not be computed outside the crop. Null when the crop reaches
/// outside.
std::optional<Window> window_within(const CenterCrop* crop, const Extent& resized) {
  if (!crop || crop->to.height > resized.height || crop->to.width > resized.width) return std::nullopt;
  const detail::Corner corner = detail::crop_corner(*crop, resized);
  return Window{corner.top, corner.left, crop->to.height, crop->to.width};
}

Extent extent_of(const Image& image) { return {image.height(), image.width()}; }

std::string list_text(const std::array<float, 3>& values) {
  return str("[", values[0], ", ", values[1], ", ", values[2], "]");
}

}  // namespace

Preprocessor::Preprocessor(std::vector<ImageStep> steps, const ToFloat& to_float, const BatchPadding& padding)
    : steps_(std::move(steps)), to_float_(to_float), padding_(padding) {
  for (size_t c = 0; c < 3; ++c) {
    const float mean = to_float_.mean[c], std = to_float_.std[c];
    if (to_float_.normalize && std == 0.0f) fail_usage("preprocess: std ", list_text(to_float_.std), " has a zero");
    for (int byte = 0; byte < 256; ++byte) {
      float value = static_cast<float>(byte);
      if (to_float_.rescale == ToFloat::Rescale::kMultiply) value = static_cast<float>(byte * to_float_.factor);
      if (to_float_.rescale == ToFloat::Rescale::kDivideBy255) value /= 255.0f;
      if (to_float_.normalize) value = (value - mean) / std;
      table_[c][static_cast<size_t>(byte)] = value;
    }
  }
}

Extent Preprocessor::output_size(const Extent& source) const {
  Extent extent = source;
  for (const ImageStep& step : steps_) extent = detail::extent_after(step, extent);
  return extent;
}

std::optional<Extent> Preprocessor::fixed_size() const {
  if (steps_.empty()) return std::nullopt;
  if (const auto* crop = std::get_if<CenterCrop>(&steps_.back())) return crop->to;
  if (const auto* resize_to = std::get_if<ResizeTo>(&steps_.back())) return resize_to->to;
  return std::nullopt;
}

Image Preprocessor::resized(const Image& image) const {
  check(image.defined(), "preprocess: the picture is undefined");
  Image current = image;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const std::optional<Filter> filter = detail::filter_of(steps_[i]);
    if (!filter) {
      current = detail::crop_or_pad(current, std::get<CenterCrop>(steps_[i]));
      continue;
    }
    const Extent extent = detail::extent_after(steps_[i], extent_of(current));
    ResizeOptions options{.height = extent.height, .width = extent.width, .filter = *filter};
    if (i + 1 < steps_.size()) options.window = window_within(std::get_if<CenterCrop>(&steps_[i + 1]), extent);
    current = resize(current, options);
    if (options.window) ++i;
  }
  return current;
}

void Preprocessor::run(const Image& image, float* output) const {
  const Image picture = resized(image);
  const int64_t pixels = picture.height() * picture.width();
  const uint8_t* rgb = picture.row(0);
  float *red = output, *green = output + pixels, *blue = output + 2 * pixels;
  for (int64_t i = 0; i < pixels; ++i, rgb += 3) {
    red[i] = table_[0][rgb[0]];
    green[i] = table_[1][rgb[1]];
    blue[i] = table_[2][rgb[2]];
  }
}

Tensor Preprocessor::operator()(const Image& image) const {
  check(image.defined(), "preprocess: the picture is undefined");
  const Extent extent = output_size(extent_of(image));
  Tensor pixels = Tensor::empty({3, extent.height, extent.width});
  run(image, pixels.f32());
  return pixels;
}

PixelBatch Preprocessor::batch(const std::vector<Image>& images) const {
  std::vector<Tensor> pixels;
  for (const Image& image : images) pixels.push_back((*this)(image));
  return collate(pixels);
}

PixelBatch Preprocessor::collate(const std::vector<Tensor>& pixels) const {
  check(!pixels.empty(), "preprocess: a batch of no pictures");
  PixelBatch batch;
  Extent largest;
  for (const Tensor& picture : pixels) {
    check(picture.defined() && picture.rank() == 3 && picture.size(0) == 3 && picture.dtype() == DType::f32,
          "preprocess: collate expects f32 [3, height, width]");
    batch.sizes.push_back({picture.size(1), picture.size(2)});
    largest = {std::max(largest.height, picture.size(1)), std::max(largest.width, picture.size(2))};
  }
  const bool same = std::all_of(batch.sizes.begin(), batch.sizes.end(), [&](const Extent& e) { return e == largest; });
  check(same || padding_.enabled, "preprocess: pictures of different sizes in one batch, and no padding");
  if (padding_.enabled && padding_.to) {
    check(largest.height <= padding_.to->height && largest.width <= padding_.to->width, "preprocess: a picture of ",
          largest.height, " x ", largest.width, " pixels is larger than pad_size ", padding_.to->height, " x ",
          padding_.to->width);
    largest = *padding_.to;
  }
  const auto count = static_cast<int64_t>(pixels.size());
  batch.pixel_values = Tensor::zeros({count, 3, largest.height, largest.width});
  if (padding_.enabled) batch.pixel_mask = Tensor::zeros({count, largest.height, largest.width}, DType::i64);
  for (int64_t b = 0; b < count; ++b) {
    const Tensor& picture = pixels[static_cast<size_t>(b)];
    const int64_t height = picture.size(1), width = picture.size(2);
    for (int64_t row = 0; row < 3 * height; ++row) {
      const int64_t plane = row / height, y = row % height;
      float* to = batch.pixel_values.f32() + ((b * 3 + plane) * largest.height + y) * largest.width;
      std::memcpy(to, picture.f32() + row * width, static_cast<size_t>(width) * sizeof(float));
    }
    if (!padding_.enabled) continue;
    for (int64_t y = 0; y < height; ++y)
      std::fill_n(batch.pixel_mask.data<int64_t>() + (b * largest.height + y) * largest.width, width, int64_t{1});
  }
  return batch;
}

std::string Preprocessor::description() const {
  std::string text;
  for (const ImageStep& step : steps_) text += detail::describe(step) + ", ";
  switch (to_float_.rescale) {
    case ToFloat::Rescale::kNone:
      text += "not rescaled";
      break;
    case ToFloat::Rescale::kMultiply:
      text += str("x ", to_float_.factor);
      break;
    case ToFloat::Rescale::kDivideBy255:
      text += "/ 255";
      break;
  }
  if (to_float_.normalize) text += str(", mean ", list_text(to_float_.mean), ", std ", list_text(to_float_.std));
  if (padding_.enabled) text += ", batches padded with zeros at the bottom and right";
  return text;
}

}  // namespace vit
