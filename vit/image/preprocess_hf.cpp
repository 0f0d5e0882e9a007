// transformers' image processors: models/*/image_processing_*.py (release 4.47). One row per class in kClasses holds
// what a class does when its configuration is silent; the code below only reads keys.
#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "vit/core/names.h"
#include "vit/image/preprocess.h"
#include "vit/io/json.h"

namespace vit {

namespace {

constexpr int64_t kMaxSide = 16384;
constexpr IntRange kSides{1, kMaxSide};

/// The `size` key in all its forms; 0 means that the key is absent.
struct Size {
  int64_t height = 0, width = 0;                ///< both sides
  int64_t shortest_edge = 0, longest_edge = 0;  ///< one or both edges
  int64_t max_height = 0, max_width = 0;        ///< bounds
};

/// How a class turns `size` into steps.
enum class Kind {
  kPlain,      ///< height and width, or shortest_edge; then perhaps a crop
  kConvNext,   ///< shortest_edge below 384: resize to shortest_edge / crop_pct, crop; else resize to the square
  kDetection,  ///< shortest_edge and longest_edge; batches are padded
};

using Values = std::array<double, 3>;
constexpr Values kHalf{0.5, 0.5, 0.5};  // IMAGENET_STANDARD_MEAN and _STD
constexpr Values kImageNetMean{0.485, 0.456, 0.406}, kImageNetStd{0.229, 0.224, 0.225};
constexpr Values kClipMean{0.48145466, 0.4578275, 0.40821073}, kClipStd{0.26862954, 0.26130258, 0.27577711};

/// A processor class and its defaults.
struct ProcessorClass {
  std::string_view stem;  ///< the class's name without "ImageProcessor"
  Kind kind = Kind::kPlain;
  Size size;
  bool square = true;  ///< a bare number as `size` means both sides (else the shortest edge)
  Filter filter = Filter::kBilinear;
  int64_t crop = 0;  ///< side of the centre crop; 0: none
  bool normalize = true;
  Values mean = kHalf, std = kHalf;
  bool pad = false;
  int64_t multiple = 1;  ///< sides are rounded down to multiples of this
};

constexpr Size kDetrSize{.shortest_edge = 800, .longest_edge = 1333};

constexpr ProcessorClass detr_like(std::string_view stem) {
  return {.stem = stem,
          .kind = Kind::kDetection,
          .size = kDetrSize,
          .square = false,
          .mean = kImageNetMean,
          .std = kImageNetStd,
          .pad = true};
}

constexpr ProcessorClass yolos() {
  ProcessorClass row = detr_like("Yolos");
  row.multiple = 16;
  return row;
}

constexpr std::array kClasses = {
    ProcessorClass{.stem = "ViT", .size = {.height = 224, .width = 224}},
    ProcessorClass{.stem = "DeiT", .size = {.height = 256, .width = 256}, .filter = Filter::kBicubic, .crop = 224},
    ProcessorClass{.stem = "CLIP",
                   .size = {.shortest_edge = 224},
                   .square = false,
                   .filter = Filter::kBicubic,
                   .crop = 224,
                   .mean = kClipMean,
                   .std = kClipStd},
    ProcessorClass{.stem = "Blip",
                   .size = {.height = 384, .width = 384},
                   .filter = Filter::kBicubic,
                   .mean = kClipMean,
                   .std = kClipStd},
    ProcessorClass{.stem = "Bit",
                   .size = {.shortest_edge = 224},
                   .square = false,
                   .filter = Filter::kBicubic,
                   .crop = 224,
                   .mean = kClipMean,
                   .std = kClipStd},
    ProcessorClass{.stem = "ConvNext",
                   .kind = Kind::kConvNext,
                   .size = {.shortest_edge = 384},
                   .square = false,
                   .filter = Filter::kBicubic},
    detr_like("Detr"),
    detr_like("ConditionalDetr"),
    detr_like("DeformableDetr"),
    yolos(),
    ProcessorClass{.stem = "RTDetr",
                   .kind = Kind::kDetection,
                   .size = {.height = 640, .width = 640},
                   .normalize = false,
                   .mean = kImageNetMean,
                   .std = kImageNetStd},
};

/// "ViTImageProcessorFast", "ViTFeatureExtractor" -> "ViT". The fast classes resize with torchvision's tensors where
/// the slow ones use Pillow; the slow ones are the reference here.
std::string_view stem_of(std::string_view type) {
  for (const std::string_view suffix : {"ImageProcessorFast", "ImageProcessor", "FeatureExtractor"})
    if (type.size() > suffix.size() && type.substr(type.size() - suffix.size()) == suffix)
      return type.substr(0, type.size() - suffix.size());
  return type;
}

const ProcessorClass& class_of(const JsonObject& config, const std::string& default_type) {
  std::string type =
      config.get_string("image_processor_type", config.get_string("feature_extractor_type", default_type));
  if (type.empty())
    fail_usage(config.where(), ": has no image_processor_type; known: ", joined(Preprocessor::hugging_face_types()));
  for (const ProcessorClass& row : kClasses)
    if (row.stem == stem_of(type)) return row;
  const std::vector<std::string> known = Preprocessor::hugging_face_types();
  fail_usage(config.where(), ": unknown image processor '", type, "'", did_you_mean(type, known),
             "; known: ", joined(known));
}

/// Reads `key` as a size: a number, [height, width], or an object. `square`: what a number means.
Size read_size(const JsonObject& config, const std::string& key, const Size& fallback, bool square) {
  const nlohmann::json* value = config.find(key);
  if (!value) return fallback;
  Size size;
  if (value->is_object()) {
    const JsonObject object = config.get_object(key);
    const auto side = [&](const char* name) { return object.has(name) ? object.require_int(name, kSides) : 0; };
    size = {.height = side("height"),
            .width = side("width"),
            .shortest_edge = side("shortest_edge"),
            .longest_edge = side("longest_edge"),
            .max_height = side("max_height"),
            .max_width = side("max_width")};
    if ((size.height > 0) != (size.width > 0)) config.refuse(key, "both height and width");
    if ((size.max_height > 0) != (size.max_width > 0)) config.refuse(key, "both max_height and max_width");
    if (size.height + size.shortest_edge + size.max_height == 0)
      config.refuse(key, "height and width, or shortest_edge, or max_height and max_width");
    return size;
  }
  const std::vector<int64_t> sides = config.get_ints(key, {}, kSides);
  if (sides.empty() || sides.size() > 2) config.refuse(key, "a number, [height, width] or an object");
  if (sides.size() == 1 && !square) {
    size.shortest_edge = sides[0];
    return size;
  }
  size.height = sides.front();
  size.width = sides.back();
  return size;
}

std::array<float, 3> read_values(const JsonObject& config, const std::string& key, const Values& fallback) {
  const std::vector<double> values = config.get_doubles(key, {fallback.begin(), fallback.end()});
  if (values.size() == 1)
    return {static_cast<float>(values[0]), static_cast<float>(values[0]), static_cast<float>(values[0])};
  if (values.size() != 3) config.refuse(key, "a number or a list of 3");
  return {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

int64_t scale_side(int64_t side, double ratio) {
  return side > 0 ? std::max<int64_t>(1, std::llround(static_cast<double>(side) * ratio)) : 0;
}

/// --img-size: the model's input (the crop, or what is resized to) becomes `wanted`, the rest keeps its proportion.
void override_sizes(Size& size, Extent* crop, int64_t wanted) {
  const int64_t input = crop                 ? crop->height
                        : size.height        ? size.height
                        : size.shortest_edge ? size.shortest_edge
                                             : size.max_height;
  const double ratio = static_cast<double>(wanted) / static_cast<double>(input);
  if (crop) *crop = {wanted, wanted};
  const bool square = !crop && size.height > 0;
  size = {.height = square ? wanted : scale_side(size.height, ratio),
          .width = square ? wanted : scale_side(size.width, ratio),
          .shortest_edge = scale_side(size.shortest_edge, ratio),
          .longest_edge = scale_side(size.longest_edge, ratio),
          .max_height = scale_side(size.max_height, ratio),
          .max_width = scale_side(size.max_width, ratio)};
}

CenterCrop center_crop(const Extent& to) {
  return {.to = to, .rounding = CenterCrop::Rounding::kTransformers, .fill = {0, 0, 0}};
}

ImageStep resize_step(const ProcessorClass& row, const Size& size, Filter filter) {
  if (size.height > 0) return ResizeTo{{size.height, size.width}, filter};
  if (size.max_height > 0) return ResizeWithin{{size.max_height, size.max_width}, filter};
  if (row.kind == Kind::kDetection || size.longest_edge > 0)
    return ResizeShortestLongest{.shortest = size.shortest_edge,
                                 .longest = size.longest_edge,
                                 .multiple = row.multiple,
                                 .size_check_first = row.multiple == 1,
                                 .filter = filter};
  return ResizeShortest{size.shortest_edge, filter};
}

void add_conv_next_steps(std::vector<ImageStep>& steps, const JsonObject& config, const Size& size, Filter filter) {
  const int64_t side = size.shortest_edge;
  if (side == 0) config.refuse("size", "shortest_edge");
  const double crop_pct = config.get_double("crop_pct", 224.0 / 256.0, {0.01, 10.0});
  if (side < 384) {
    steps.push_back(ResizeShortest{static_cast<int64_t>(static_cast<double>(side) / crop_pct), filter});
    steps.push_back(center_crop({side, side}));
  } else {
    steps.push_back(ResizeTo{{side, side}, filter});
  }
}

std::vector<ImageStep> read_steps(const ProcessorClass& row, const JsonObject& config,
                                  const PreprocessOverrides& overrides) {
  Size size = read_size(config, "size", row.size, row.square);
  // Detection files written before 4.26 hold two numbers; a lone number comes with the class's bound.
  if (row.kind == Kind::kDetection && size.shortest_edge > 0 && size.longest_edge == 0)
    size.longest_edge = config.get_int("max_size", kDetrSize.longest_edge, kSides);
  const Size crop_size = read_size(config, "crop_size", {.height = row.crop, .width = row.crop}, true);
  const bool crops = config.get_bool("do_center_crop", row.crop > 0) && row.kind == Kind::kPlain;
  Extent crop{crop_size.height, crop_size.width};
  if (crops && crop.height == 0) config.refuse("crop_size", "a number, or height and width");
  if (overrides.image_size) override_sizes(size, crops ? &crop : nullptr, *overrides.image_size);

  const int64_t resample = config.get_int("resample", static_cast<int64_t>(row.filter), {0, 5});
  const auto filter = static_cast<Filter>(resample);
  std::vector<ImageStep> steps;
  if (config.get_bool("do_resize", true)) {
    if (row.kind == Kind::kConvNext)
      add_conv_next_steps(steps, config, size, filter);
    else
      steps.push_back(resize_step(row, size, filter));
  }
  if (crops) steps.push_back(center_crop(crop));
  return steps;
}

BatchPadding read_padding(const ProcessorClass& row, const JsonObject& config) {
  BatchPadding padding;
  padding.enabled = config.get_bool("do_pad", config.get_bool("pad_and_return_pixel_mask", row.pad));
  if (row.kind != Kind::kDetection) padding.enabled = false;
  const Size size = read_size(config, "pad_size", {}, true);
  if (size.height > 0) padding.to = Extent{size.height, size.width};
  return padding;
}

}  // namespace

Preprocessor Preprocessor::from_hugging_face(const nlohmann::json& config, const std::string& name,
                                             const std::string& default_type, const PreprocessOverrides& overrides) {
  const JsonObject json(config, name);
  if (overrides.image_size && (*overrides.image_size < 1 || *overrides.image_size > kMaxSide))
    fail_usage("preprocess: expected an image size of 1 to ", kMaxSide, ", got ", *overrides.image_size);
  const ProcessorClass& row = class_of(json, default_type);
  ToFloat to_float;
  const bool rescale = json.get_bool("do_rescale", true);
  to_float.rescale = rescale ? ToFloat::Rescale::kMultiply : ToFloat::Rescale::kNone;
  to_float.factor = json.get_double("rescale_factor", 1.0 / 255.0);
  to_float.normalize = json.get_bool("do_normalize", row.normalize);
  to_float.mean = read_values(json, "image_mean", row.mean);
  to_float.std = read_values(json, "image_std", row.std);
  return Preprocessor(read_steps(row, json, overrides), to_float, read_padding(row, json));
}

std::vector<std::string> Preprocessor::hugging_face_types() {
  std::vector<std::string> types;
  for (const ProcessorClass& row : kClasses) types.push_back(std::string(row.stem) + "ImageProcessor");
  return types;
}

}  // namespace vit
