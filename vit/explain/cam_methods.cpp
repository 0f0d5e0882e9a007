// The methods on feature maps: Grad-CAM and its relatives, EigenCAM, ScoreCAM (docs/explain.md).
#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/explain/cam.h"
#include "vit/explain/method.h"
#include "vit/image/bilinear.h"
#include "vit/image/cell_map.h"

namespace vit {

namespace {

std::string refuse_maps(const Subject& subject) {
  if (cam_layers(subject).empty()) return "it offers no map of features";
  return "";
}

std::vector<std::string> map_names(const Subject& subject) {
  std::vector<std::string> names;
  for (const CamLayer& layer : cam_layers(subject)) names.push_back(layer.name);
  return names;
}

const CamLayer& wanted_map(const std::vector<CamLayer>& layers, const MethodOptions& options) {
  return layers[static_cast<size_t>(wanted_layer(options.layer, static_cast<int64_t>(layers.size())))];
}

auto explain_by(CamKind kind) {
  return [kind](const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
    const std::vector<CamLayer> layers = cam_layers(subject);
    const CamLayer& layer = wanted_map(layers, options);
    Tensor gradients;
    const Tensor activations = layer_map(subject, pixels, layer, &gradients);
    return Explanation{.map = class_activation(kind, activations, gradients), .layer = layer.name};
  };
}

Explanation explain_eigencam(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  const std::vector<CamLayer> layers = cam_layers(subject);
  const CamLayer& layer = wanted_map(layers, options);
  Tensor map = principal_activation(layer_map(subject, pixels, layer, nullptr));
  for (float& value : map.span<float>()) value = std::max(value, 0.0f);
  return {.map = map, .layer = layer.name, .notes = {"does not depend on what is asked for"}};
}

/// One channel of a map [rows, columns, C] on height x width pixels, 0 to 1: bilinear, corners on corners.
Tensor channel_mask(const Tensor& map, int64_t channel, int64_t height, int64_t width) {
  const int64_t rows = map.size(0), columns = map.size(1), channels = map.size(2);
  const auto place = [](int64_t at, int64_t fine, int64_t coarse) {
    return fine > 1 ? static_cast<double>(at) * static_cast<double>(coarse - 1) / static_cast<double>(fine - 1) : 0.0;
  };
  const auto value = [&](int64_t r, int64_t c) {
    return static_cast<double>(map.f32()[(r * columns + c) * channels + channel]);
  };
  Tensor mask = Tensor::empty({height, width});
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      mask.f32()[y * width + x] =
          static_cast<float>(bilinear(place(y, height, rows), place(x, width, columns), rows, columns, value));
  const auto [least, most] = std::minmax_element(mask.f32(), mask.f32() + mask.numel());
  const float low = *least, range = *most - low + 1e-8f;
  for (float& share : mask.span<float>()) share = (share - low) / range;
  return mask;
}

/// The objective where only what a channel is active at is left of the picture, for all channels.
std::vector<double> channel_scores(const Subject& subject, const Tensor& pixels, const Tensor& map,
                                   int64_t batch_size) {
  const int64_t channels = map.size(2), planes = pixels.size(1), height = pixels.size(2), width = pixels.size(3);
  std::vector<double> scores;
  for (int64_t first = 0; first < channels; first += batch_size) {
    const int64_t count = std::min(batch_size, channels - first);
    Tensor masked = Tensor::empty({count, planes, height, width});
    for (int64_t c = 0; c < count; ++c) {
      const Tensor mask = channel_mask(map, first + c, height, width);
      for (int64_t i = 0; i < planes * height * width; ++i)
        masked.f32()[c * planes * height * width + i] = pixels.f32()[i] * mask.f32()[i % (height * width)];
    }
    Context ctx;
    const Tensor answers = subject.objective(ctx, masked).value();
    scores.insert(scores.end(), answers.f32(), answers.f32() + count);
  }
  return scores;
}

Explanation explain_scorecam(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  const std::vector<CamLayer> layers = cam_layers(subject);
  const CamLayer& layer = wanted_map(layers, options);
  const Tensor map = layer_map(subject, pixels, layer, nullptr);
  std::vector<double> weights = channel_scores(subject, pixels, map, options.batch_size);
  const double largest = *std::max_element(weights.begin(), weights.end());
  double total = 0.0;
  for (double& weight : weights) total += weight = std::exp(weight - largest);
  Tensor result = Tensor::zeros({map.size(0), map.size(1)});
  const int64_t channels = map.size(2);
  for (int64_t n = 0; n < result.numel(); ++n) {
    double sum = 0.0;
    for (int64_t c = 0; c < channels; ++c) sum += weights[static_cast<size_t>(c)] / total * map.f32()[n * channels + c];
    result.f32()[n] = static_cast<float>(std::max(sum, 0.0));
  }
  return {.map = result, .layer = layer.name};
}

VITKIT_REGISTER_METHOD("gradcam", .title = "Grad-CAM",
                       .summary = "features weighed by the mean of their gradient over the map",
                       .source = "Selvaraju et al. 2017, eq. 1 and 2", .needs_gradient = true, .layers = map_names,
                       .refusal = refuse_maps, .explain = explain_by(CamKind::gradcam));
VITKIT_REGISTER_METHOD("gradcam++", .title = "Grad-CAM++",
                       .summary = "features weighed by means that prefer places of strong gradients",
                       .source = "Chattopadhay et al. 2018, eq. 10 and 19", .needs_gradient = true, .layers = map_names,
                       .refusal = refuse_maps, .explain = explain_by(CamKind::gradcam_plus_plus));
VITKIT_REGISTER_METHOD("xgradcam", .title = "XGrad-CAM",
                       .summary = "features weighed by gradients that are averaged over the activation",
                       .source = "Fu et al. 2020, eq. 7", .needs_gradient = true, .layers = map_names,
                       .refusal = refuse_maps, .explain = explain_by(CamKind::xgradcam));
VITKIT_REGISTER_METHOD("hirescam", .title = "HiResCAM", .summary = "gradient times feature, place by place",
                       .source = "Draelos, Carin 2020, eq. 3", .needs_gradient = true, .layers = map_names,
                       .refusal = refuse_maps, .explain = explain_by(CamKind::hirescam));
VITKIT_REGISTER_METHOD("gradcam_elementwise", .title = "Grad-CAM, elementwise",
                       .summary = "gradient times feature where that is positive", .source = "Pillai, Pirsiavash 2021",
                       .needs_gradient = true, .layers = map_names, .refusal = refuse_maps,
                       .explain = explain_by(CamKind::gradcam_elementwise));
VITKIT_REGISTER_METHOD("layercam", .title = "LayerCAM", .summary = "features where their gradient is positive",
                       .source = "Jiang et al. 2021, eq. 6", .needs_gradient = true, .layers = map_names,
                       .refusal = refuse_maps, .explain = explain_by(CamKind::layercam));
VITKIT_REGISTER_METHOD("eigencam", .title = "EigenCAM", .summary = "the first principal component of the features",
                       .source = "Muhammad, Yeasin 2020", .needs_gradient = false, .layers = map_names,
                       .refusal = refuse_maps, .explain = explain_eigencam);
VITKIT_REGISTER_METHOD("scorecam", .title = "Score-CAM",
                       .summary = "features weighed by the answer to the picture seen through each of them",
                       .source = "Wang et al. 2020, eq. 6", .needs_gradient = false, .layers = map_names,
                       .refusal = refuse_maps, .explain = explain_scorecam);

}  // namespace

}  // namespace vit
