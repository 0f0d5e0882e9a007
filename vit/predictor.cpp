#include "vit/predictor.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "vit/core/context_pool.h"
#include "vit/core/softmax.h"
#include "vit/image/preprocess.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/clip_model.h"
#include "vit/models/labels.h"

namespace vit {

namespace {

/// The image processor that Hugging Face pairs with a model type, for checkpoints that lack preprocessor_config.json.
std::string default_processor(const std::string& model_type) {
  if (model_type == "deit") return "DeiTImageProcessor";
  if (model_type.starts_with("dinov2")) return "BitImageProcessor";
  if (model_type == "blip") return "BlipImageProcessor";
  if (model_type == "clip") return "CLIPImageProcessor";
  return "ViTImageProcessor";
}

/// The arithmetic that a Hugging Face processor of films says; its sizes are the model's own. Defaults are
/// VideoMAEImageProcessor's, which belongs to timesformer.
ToFloat clip_arithmetic(const JsonObject& file) {
  ToFloat pixels{.rescale = ToFloat::Rescale::kMultiply, .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}};
  if (!file.get_bool("do_rescale", true)) pixels.rescale = ToFloat::Rescale::kNone;
  pixels.factor = file.get_double("rescale_factor", pixels.factor);
  pixels.normalize = file.get_bool("do_normalize", true);
  const auto read = [&](const char* key, std::array<float, 3>& into) {
    if (!file.has(key)) return;
    const std::vector<double> values = file.get_doubles(key, {});
    if (values.size() != 3) file.refuse(key, "three numbers");
    for (size_t c = 0; c < 3; ++c) into[c] = static_cast<float>(values[c]);
  };
  read("image_mean", pixels.mean);
  read("image_std", pixels.std);
  return pixels;
}

/// Of a model of clips: strips whose frames have the model's size (fit_strip) pass as they are.
Preprocessor clip_preprocessor(const Checkpoint& checkpoint, const ClipModel& model, std::optional<int64_t> img_size) {
  const std::array<int64_t, 2> frame = img_size ? std::array<int64_t, 2>{*img_size, *img_size} : model.frame_size();
  const ResizeTo strip{.to = {model.frames() * frame[0], frame[1]}};
  ToFloat pixels{.mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}};
  if (checkpoint.has_weights()) {
    const std::string where = (checkpoint.dir() / "config.json").string();
    const JsonObject config(checkpoint.config(), where);
    if (config.has("pretrained_cfg"))
      pixels =
          Preprocessor::from_timm(config.get_object("pretrained_cfg").raw(), where + ": pretrained_cfg").to_float();
    else if (const nlohmann::json* file = checkpoint.preprocessor())
      pixels = clip_arithmetic(JsonObject(*file, (checkpoint.dir() / "preprocessor_config.json").string()));
    else
      pixels.rescale = ToFloat::Rescale::kMultiply;
  }
  return {{strip}, pixels};
}

PreprocessOverrides square(int64_t size) { return {.image_size = size}; }

}  // namespace

Preprocessor load_preprocessor(const Checkpoint& checkpoint, const ImageModel& model, std::optional<int64_t> img_size) {
  if (const auto* clips = dynamic_cast<const ClipModel*>(&model))
    return clip_preprocessor(checkpoint, *clips, img_size);
  if (!checkpoint.has_weights()) {
    // What timm's own vit_* configurations say; there is no checkpoint that could say otherwise.
    TimmPreprocess preprocess{.input_size = {model.info().input_size[0], model.info().input_size[1]},
                              .crop_pct = 0.9,
                              .mean = {0.5, 0.5, 0.5},
                              .std = {0.5, 0.5, 0.5}};
    if (img_size) preprocess.input_size = {*img_size, *img_size};
    return Preprocessor::timm(preprocess);
  }
  const std::string where = (checkpoint.dir() / "config.json").string();
  const JsonObject config(checkpoint.config(), where);
  const PreprocessOverrides overrides{.image_size = img_size};
  // A run that fine-tuned a Hugging Face checkpoint keeps its processor and its model_type.
  if (config.has("architecture") || config.has("pretrained_cfg") ||
      (config.has("vitkit") && !config.has("model_type"))) {
    const bool nested = config.has("pretrained_cfg");  // old files have its entries at the top level
    return Preprocessor::from_timm(nested ? config.get_object("pretrained_cfg").raw() : config.raw(),
                                   nested ? where + ": pretrained_cfg" : where, overrides);
  }
  const std::string type = default_processor(config.get_string("model_type", ""));
  if (const nlohmann::json* file = checkpoint.preprocessor())
    return Preprocessor::from_hugging_face(*file, (checkpoint.dir() / "preprocessor_config.json").string(), type,
                                           overrides);
  return Preprocessor::from_hugging_face(nlohmann::json::object(), where, type,
                                         square(img_size.value_or(model.info().input_size[0])));
}

ClassLabels load_labels(const Checkpoint& checkpoint, const ImageModel& model) {
  const int64_t classes = model.info().num_classes;
  if (!checkpoint.has_weights())
    return ClassLabels::from_checkpoint(nlohmann::json::object(), classes, checkpoint.name());
  return ClassLabels::from_checkpoint(checkpoint.config(), classes, (checkpoint.dir() / "config.json").string());
}

struct Classifier::State {
  std::unique_ptr<ImageModel> model;
  Preprocessor preprocessor;
  ClassLabels labels;
  bool trained = false;
  int64_t topk = 5;
  ContextPool contexts;
};

Classifier Classifier::load(const std::string& name, const ClassifierOptions& options) {
  const Checkpoint checkpoint = Checkpoint::open(name);
  Classifier classifier;
  classifier.state_ = std::make_shared<State>();
  State& state = *classifier.state_;
  state.model = load_model(checkpoint, {.input_size = {}, .seed = options.seed});
  const ModelInfo& info = state.model->info();
  if (state.model->verb() != "classify")
    fail_usage(name, ": ", info.name, " is no classifier; it is for `vitkit ", state.model->verb(), "`");
  std::vector<std::string> names;
  if (options.name_classes) names = options.name_classes(*state.model, checkpoint);
  if (info.num_classes == 0)
    fail_usage(name, ": the model has no classification head (num_classes is 0), its output is features",
               info.name == "clip" ? "; CLIP is told its classes: --labels" : "");
  if (info.input_channels != 3) fail_usage(name, ": pictures have 3 channels, the model takes ", info.input_channels);
  state.preprocessor = load_preprocessor(checkpoint, *state.model, options.img_size);
  const std::optional<Extent> size = state.preprocessor.fixed_size();
  if (size && (size->height != info.input_size[0] || size->width != info.input_size[1]))
    state.model->set_input_size(size->height, size->width);
  state.labels =
      options.name_classes ? ClassLabels::from_names(std::move(names)) : load_labels(checkpoint, *state.model);
  state.trained = checkpoint.has_weights();
  state.topk = options.topk;
  return classifier;
}

Tensor Classifier::logits(const Tensor& pixels) const {
  const ContextPool::Lease context = state_->contexts.take();
  return state_->model->forward(*context, pixels).value();
}

std::vector<Prediction> Classifier::top(const float* logits, int64_t topk) const {
  const int64_t classes = state_->model->info().num_classes;
  check(std::all_of(logits, logits + classes, [](float value) { return std::isfinite(value); }),
        "the model's output is not finite");
  std::vector<int64_t> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto wanted = order.begin() + std::clamp<int64_t>(topk, 0, classes);
  std::partial_sort(order.begin(), wanted, order.end(),
                    [&](int64_t a, int64_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  const SoftmaxRow softmax(logits, classes);
  std::vector<Prediction> predictions;
  for (auto index = order.begin(); index != wanted; ++index)
    predictions.push_back({state_->labels.name(*index), *index, softmax.probability(*index)});
  return predictions;
}

std::vector<std::vector<Prediction>> Classifier::operator()(const std::vector<Image>& images) const {
  if (images.empty()) return {};
  const Tensor result = logits(state_->preprocessor.batch(images).pixel_values);
  std::vector<std::vector<Prediction>> predictions;
  for (int64_t i = 0; i < result.size(0); ++i)
    predictions.push_back(top(result.f32() + i * result.size(1), state_->topk));
  return predictions;
}

std::vector<Prediction> Classifier::operator()(const Image& image) const {
  return (*this)(std::vector<Image>{image}).front();
}

const ImageModel& Classifier::model() const { return *state_->model; }
const Preprocessor& Classifier::preprocessor() const { return state_->preprocessor; }
const ClassLabels& Classifier::labels() const { return state_->labels; }
bool Classifier::trained() const { return state_->trained; }

}  // namespace vit
