#include "tests/parity/explain_case.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "vit/core/check.h"
#include "vit/explain/cam.h"
#include "vit/explain/classifier_subject.h"
#include "vit/explain/method.h"
#include "vit/image/cell_map.h"
#include "vit/io/checkpoint.h"
#include "vit/io/json.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace vit {

namespace {

/// pytorch-grad-cam's classes -> our methods.
const std::map<std::string, std::string>& methods() {
  static const std::map<std::string, std::string> names = {{"GradCAM", "gradcam"},
                                                           {"GradCAMPlusPlus", "gradcam++"},
                                                           {"XGradCAM", "xgradcam"},
                                                           {"HiResCAM", "hirescam"},
                                                           {"GradCAMElementWise", "gradcam_elementwise"},
                                                           {"LayerCAM", "layercam"},
                                                           {"EigenCAM", "eigencam"},
                                                           {"ScoreCAM", "scorecam"}};
  return names;
}

/// The folder beside `dir` that the notes name and that has a model's word in its name: "seresnet" -> "A9_seresnet".
std::filesystem::path model_folder(const std::filesystem::path& dir, const std::string& notes,
                                   const std::string& model) {
  for (size_t at = notes.find("../"); at != std::string::npos; at = notes.find("../", at + 1)) {
    const std::string name = notes.substr(at + 3, notes.find_first_of(" ,;", at) - at - 3);
    if (name.find(model) != std::string::npos) return dir.parent_path() / name;
  }
  fail(dir.string(), "/case.json: the notes name no folder for '", model, "'");
}

int64_t target_class(const std::filesystem::path& dir, const std::string& notes) {
  const std::string marker = "target = class ";
  const size_t at = notes.find(marker);
  check(at != std::string::npos, dir.string(), "/case.json: the notes name no target class");
  return std::stoll(notes.substr(at + marker.size()));
}

/// pytorch-grad-cam's way from a raw map to the picture: scaled, resized, scaled again.
Tensor on_input(Tensor map, const Extent& size) {
  for (float& value : map.span<float>()) value = std::max(value, 0.0f);
  scale_cam(map);
  const CellWindow whole{.rows = static_cast<double>(map.size(0)), .columns = static_cast<double>(map.size(1))};
  Tensor resized = cells_on_picture(map, whole, size);
  scale_cam(resized);
  return resized;
}

double worst_difference(const Tensor& ours, const float* reference) {
  double worst = 0.0;
  for (int64_t i = 0; i < ours.numel(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(ours.f32()[i]) - reference[i]));
  return worst;
}

/// One picture's map against the reference.
double difference(const Subject& subject, const std::string& method, const Tensor& pixels, const float* reference) {
  const Extent size{pixels.size(2), pixels.size(3)};
  if (method != "eigencam") return worst_difference(on_input(explain(method, subject, pixels).map, size), reference);
  Tensor map = principal_activation(layer_map(subject, pixels, cam_layers(subject).back(), nullptr));
  const double as_it_is = worst_difference(on_input(map.clone(), size), reference);
  for (float& value : map.span<float>()) value = -value;
  return std::min(as_it_is, worst_difference(on_input(map, size), reference));
}

}  // namespace

std::vector<GradientResult> run_explain_golden(const std::filesystem::path& dir) {
  const nlohmann::json file = load_json(dir / "case.json");
  const JsonObject description(file, (dir / "case.json").string());
  const std::string notes = description.require_string("notes");
  const double limit = description.get_double("tolerance", 1e-4);
  const int64_t target = target_class(dir, notes);
  const SafetensorsFile golden = SafetensorsFile::open(dir / "golden.safetensors");
  std::vector<GradientResult> results;
  for (const TensorInfo& tensor : golden.tensors()) {
    const std::string& name = tensor.name;
    const size_t slash = name.find('/');
    const std::string model = name.substr(0, slash), method = name.substr(slash + 1);
    if (method == "input" || method == "input_is_that_of_source_case") continue;
    const auto found = methods().find(method);
    check(found != methods().end(), dir.string(), ": no method here is '", method, "'");
    const std::filesystem::path folder = model_folder(dir, notes, model);
    const Checkpoint checkpoint = Checkpoint::open(folder.lexically_normal().string());
    const auto explained = std::make_shared<ExplainedModel>([&checkpoint](Purpose purpose) {
      return std::shared_ptr<ImageModel>(load_model(checkpoint, {.input_size = {}, .purpose = purpose}));
    });
    const ClassifierSubject subject(explained, target, "target");
    const std::string own = model + "/input";
    const Tensor input =
        golden.find(own) ? golden.view(own) : SafetensorsFile::open(folder / "golden.safetensors").view("input");
    const Tensor reference = golden.view(name);
    for (int64_t b = 0; b < input.size(0); ++b)
      results.push_back({name + " of picture " + std::to_string(b),
                         difference(subject, found->second, input.slice(b, b + 1),
                                    reference.f32() + b * reference.size(1) * reference.size(2)),
                         limit});
  }
  return results;
}

}  // namespace vit
