// Turns a picture into a model's input exactly as the original library did. The steps on 8-bit pixels (resize, crop,
// pad) are a list that is read from timm's `pretrained_cfg` or Hugging Face's `preprocessor_config.json`; rescaling and
// normalising follow in one pass. Non-goals: augmentation (datasets), boxes (detection).
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/image/image.h"
#include "vit/image/pixel_batch.h"
#include "vit/image/resize.h"

namespace vit {

/// Scales both sides to the given extents; the aspect ratio is lost. torchvision Resize((h, w)).
struct ResizeTo {
  Extent to;
  Filter filter = Filter::kBilinear;
};
/// Scales the shorter side to `size`, the longer to int(size * longer / shorter). torchvision Resize(size), and
/// transformers get_resize_output_image_size without a maximum.
struct ResizeShortest {
  int64_t size = 0;
  Filter filter = Filter::kBilinear;
};
/// timm ResizeKeepRatio: scales by one ratio so that the picture covers `to` (longest = false) or fits in it (true).
struct ResizeKeepRatio {
  Extent to;
  Filter filter = Filter::kBilinear;
  bool longest = false;
};
/// transformers' detection processors: the shorter side to `shortest` unless the longer would exceed `longest`; then
/// both sides are rounded down to a multiple of `multiple` (YOLOS: 16).
struct ResizeShortestLongest {
  int64_t shortest = 0, longest = 0;  ///< longest 0: no bound
  int64_t multiple = 1;
  /// DETR keeps a picture whose shorter side already fits; YOLOS asks `width < height` first (they differ by rounding).
  bool size_check_first = true;
  Filter filter = Filter::kBilinear;
};
/// transformers `{"max_height", "max_width"}`: the largest size of this aspect ratio within the extents.
struct ResizeWithin {
  Extent limit;
  Filter filter = Filter::kBilinear;
};
/// Cuts the middle out; what is smaller is padded with `fill` first.
struct CenterCrop {
  /// Where odd margins go: torchvision rounds half to even, transformers rounds down.
  enum class Rounding { kTorchvision, kTransformers };
  Extent to;
  Rounding rounding = Rounding::kTorchvision;
  std::array<uint8_t, 3> fill{0, 0, 0};
};
using ImageStep =
    std::variant<ResizeTo, ResizeShortest, ResizeKeepRatio, ResizeShortestLongest, ResizeWithin, CenterCrop>;

/// The arithmetic after the last 8-bit step, in float32 as the original does it.
struct ToFloat {
  /// transformers multiplies in float64 by rescale_factor and rounds to float32; timm (torchvision ToTensor) divides a
  /// float32 by 255. They differ in the last bit.
  enum class Rescale { kNone, kMultiply, kDivideBy255 };
  Rescale rescale = Rescale::kDivideBy255;
  double factor = 1.0 / 255.0;  ///< for kMultiply
  bool normalize = true;        ///< (x - mean) / std
  std::array<float, 3> mean{0, 0, 0};
  std::array<float, 3> std{1, 1, 1};
};

/// What a batch does with pictures of different sizes.
struct BatchPadding {
  bool enabled = false;  ///< zeros at the bottom and right, after normalising, up to the largest of the batch
  std::optional<Extent> to = std::nullopt;  ///< pad to this instead (transformers `pad_size`)
};

/// Changes that the command line makes to what the checkpoint says.
struct PreprocessOverrides {
  /// `--img-size`: the model's input becomes this square; resize sizes keep their ratio to the crop.
  std::optional<int64_t> image_size;
};

/// timm's eval transform in numbers; defaults are timm's own for keys that a `pretrained_cfg` omits.
struct TimmPreprocess {
  Extent input_size{224, 224};
  std::string interpolation = "bicubic";  ///< "random" has no meaning in evaluation; timm then takes bilinear
  double crop_pct = 0.875;                ///< share of the resized picture that the crop keeps
  std::string crop_mode = "center";       ///< center, squash or border
  std::array<double, 3> mean{0.485, 0.456, 0.406};
  std::array<double, 3> std{0.229, 0.224, 0.225};
};

class Preprocessor {
 public:
  Preprocessor() = default;
  Preprocessor(std::vector<ImageStep> steps, const ToFloat& to_float, const BatchPadding& padding = {});

  /// timm.data.create_transform(is_training=False) of these numbers. Errors (usage): unknown crop_mode or
  /// interpolation, extents or crop_pct out of range, a std of 0.
  static Preprocessor timm(const TimmPreprocess& config);
  /// From a checkpoint's `pretrained_cfg` object (missing keys: TimmPreprocess' defaults). `name` is the file, for
  /// messages.
  static Preprocessor from_timm(const nlohmann::json& pretrained_cfg, const std::string& name,
                                const PreprocessOverrides& overrides = {});
  /// From a `preprocessor_config.json`. `default_type` (such as "ViTImageProcessor") is used when the file names none;
  /// an empty object then gives that class's defaults. Errors (usage): a type that is not known (the known are listed),
  /// wrong values.
  static Preprocessor from_hugging_face(const nlohmann::json& config, const std::string& name,
                                        const std::string& default_type = "",
                                        const PreprocessOverrides& overrides = {});
  /// The processor classes that from_hugging_face knows.
  static std::vector<std::string> hugging_face_types();

  /// [height, width, 3] -> f32 [3, h, w]. Errors: a picture whose aspect ratio leaves a side without a pixel.
  /// Thread-safe, as are the other const methods; runs on the calling thread.
  Tensor operator()(const Image& image) const;
  /// The same into `output`, which holds 3 * h * w floats of output_size(image).
  void run(const Image& image, float* output) const;
  /// The 8-bit part alone: what the model sees, as a picture.
  Image resized(const Image& image) const;
  /// Extents that a picture of `source` has after the steps.
  Extent output_size(const Extent& source) const;
  /// The extents of every output, if they do not depend on the picture.
  std::optional<Extent> fixed_size() const;

  /// Pictures side by side. Errors: none given; different sizes and no padding.
  PixelBatch batch(const std::vector<Image>& images) const;
  /// The same from already processed tensors [3, h, w].
  PixelBatch collate(const std::vector<Tensor>& pixels) const;

  const std::vector<ImageStep>& steps() const { return steps_; }
  const ToFloat& to_float() const { return to_float_; }
  const BatchPadding& padding() const { return padding_; }
  /// One line: "resize shorter side to 248 (bicubic), centre crop 224 x 224, / 255, mean [...], std [...]".
  std::string description() const;

 private:
  std::vector<ImageStep> steps_;
  ToFloat to_float_;
  BatchPadding padding_;
  /// Value of each byte per channel: 256 possible inputs make the arithmetic a table.
  std::array<std::array<float, 256>, 3> table_{};
};

}  // namespace vit
