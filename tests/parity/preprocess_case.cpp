#include "tests/parity/preprocess_case.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "vit/image/decode.h"
#include "vit/image/preprocess.h"
#include "vit/image/resize.h"
#include "vit/io/json.h"
#include "vit/io/safetensors.h"

namespace vit {

namespace fs = std::filesystem;

namespace {

constexpr double kTolerance = 1e-6;  // of normalised values, which are of order 1

class GoldenCase {
 public:
  explicit GoldenCase(const fs::path& dir)
      : dir_(dir), golden_(SafetensorsFile::open(dir / "golden.safetensors")), config_(load_json(dir / "config.json")) {
    // Images are named by their file without ending.
    const nlohmann::json description = load_json(dir / "case.json");
    for (const auto& file : description.at("images")) {
      const fs::path path = dir / file.get<std::string>();
      names_.push_back(path.stem().string());
      images_[names_.back()] = load_image(path.string(), {.honour_orientation = false});
    }
  }

  std::vector<PreprocessResult> run() {
    for (const TensorInfo& tensor : golden_.tensors()) {
      const size_t slash = tensor.name.find('/');
      try {
        compare(tensor.name, tensor.name.substr(0, slash), tensor.name.substr(slash + 1));
      } catch (const std::exception& error) {
        results_.push_back({tensor.name, 0, 0, false, error.what()});
      }
    }
    return results_;
  }

 private:
  void compare(const std::string& name, const std::string& kind, const std::string& image) {
    const std::string batch_suffix = "_batch";
    if (kind == "decoded") {
      add(name, image_of(image).pixels);
    } else if (kind.rfind("pil_", 0) == 0) {
      add(name, resize_as(kind, image_of(image)).pixels);
    } else if (kind.size() > batch_suffix.size() && kind.ends_with(batch_suffix)) {
      // The batches are of the case's first two pictures.
      check(names_.size() >= 2, "the case has no two images to batch");
      const Preprocessor preprocessor = from_config(kind.substr(0, kind.size() - batch_suffix.size()));
      const PixelBatch batch = preprocessor.batch({image_of(names_[0]), image_of(names_[1])});
      add(name, image == "pixel_mask" ? batch.pixel_mask : batch.pixel_values);
    } else {
      add(name, from_config(kind)(image_of(image)));
      const fs::path file = dir_ / ("proc_" + kind) / "preprocessor_config.json";
      if (fs::exists(file)) add(name, Preprocessor::from_hugging_face(load_json(file), file.string())(image_of(image)));
    }
  }

  const Image& image_of(const std::string& name) const {
    const auto found = images_.find(name);
    check(found != images_.end(), "no image '", name, "' in the case");
    return found->second;
  }

  Preprocessor from_config(const std::string& pipeline) const {
    const std::string where = (dir_ / "config.json").string() + ": " + pipeline;
    if (config_.at("timm").contains(pipeline)) return Preprocessor::from_timm(config_["timm"][pipeline], where);
    check(config_.at("hf").contains(pipeline), "no pipeline '", pipeline, "' in the case's config.json");
    return Preprocessor::from_hugging_face(config_["hf"][pipeline], where);
  }

  /// "pil_bicubic_97x61" is Image.resize((97, 61), BICUBIC).
  static Image resize_as(const std::string& kind, const Image& image) {
    const size_t size_at = kind.rfind('_') + 1, cross = kind.rfind('x');
    return resize(image, {.height = std::stoll(kind.substr(cross + 1)),
                          .width = std::stoll(kind.substr(size_at, cross - size_at)),
                          .filter = filter_from_name(kind.substr(4, size_at - 5))});
  }

  void add(const std::string& name, const Tensor& ours) {
    const Tensor reference = golden_.view(name);
    PreprocessResult result{.name = name, .max_abs = 0, .tolerance = 0, .ok = false, .error = ""};
    if (!ours.defined() || !(ours.shape() == reference.shape()) || ours.dtype() != reference.dtype()) {
      result.error = str("expected ", name_of(reference.dtype()), " ", reference.shape(), ", got ",
                         ours.defined() ? str(name_of(ours.dtype()), " ", ours.shape()) : std::string("nothing"));
      results_.push_back(result);
      return;
    }
    if (ours.dtype() == DType::u8) result.max_abs = largest_difference<uint8_t>(ours, reference);
    if (ours.dtype() == DType::i64) result.max_abs = largest_difference<int64_t>(ours, reference);
    if (ours.dtype() == DType::f32) {
      result.tolerance = kTolerance;
      result.max_abs = largest_difference<float>(ours, reference);
    }
    result.ok = result.max_abs <= result.tolerance;
    results_.push_back(result);
  }

  /// NaN counts as infinite.
  template <class T>
  static double largest_difference(const Tensor& ours, const Tensor& reference) {
    double largest = 0;
    for (int64_t i = 0; i < ours.numel(); ++i) {
      const double difference =
          std::fabs(static_cast<double>(ours.data<T>()[i]) - static_cast<double>(reference.data<T>()[i]));
      largest = difference <= largest ? largest : std::isnan(difference) ? INFINITY : difference;
    }
    return largest;
  }

  fs::path dir_;
  SafetensorsFile golden_;
  nlohmann::json config_;
  std::vector<std::string> names_;  ///< in the order of case.json
  std::map<std::string, Image> images_;
  std::vector<PreprocessResult> results_;
};

}  // namespace

std::vector<PreprocessResult> run_preprocess_golden(const fs::path& dir) { return GoldenCase(dir).run(); }

}  // namespace vit
