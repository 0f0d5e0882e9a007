// Small models with random weights, as subjects.
#pragma once

#include <memory>
#include <string>

#include "tests/support/gradient_check.h"
#include "vit/core/config_node.h"
#include "vit/core/rng.h"
#include "vit/explain/classifier_subject.h"
#include "vit/models/build.h"

namespace vit::test {

inline constexpr const char* kTinyVit =
    "{type: vit, img_size: [32, 32], patch_size: [8, 8], embed_dim: 16, depth: 3, num_heads: 2, num_classes: 5, "
    "mlp_ratio: 2}";
inline constexpr const char* kTinyGapVit =
    "{type: vit, img_size: [32, 32], patch_size: [8, 8], embed_dim: 16, depth: 2, num_heads: 2, num_classes: 5, "
    "mlp_ratio: 2, class_token: false, global_pool: avg}";
inline constexpr const char* kTinyRegisterVit =
    "{type: vit, img_size: [32, 32], patch_size: [8, 8], embed_dim: 16, depth: 2, num_heads: 2, num_classes: 5, "
    "mlp_ratio: 2, reg_tokens: 3}";
inline constexpr const char* kTinyPooledVit =
    "{type: vit, img_size: [32, 32], patch_size: [8, 8], embed_dim: 16, depth: 2, num_heads: 2, num_classes: 5, "
    "mlp_ratio: 2, class_token: false, reg_tokens: 3, global_pool: map}";
inline constexpr const char* kTinySwin =
    "{type: swin, img_size: [32, 32], patch_size: 4, embed_dim: 8, depths: [2, 2], num_heads: [2, 4], window_size: 4, "
    "num_classes: 5, mlp_ratio: 2}";
inline constexpr const char* kTinyDavit =
    "{type: davit, img_size: [32, 32], embed_dims: [8, 16], depths: [1, 1], num_heads: [2, 2], window_size: 4, "
    "num_classes: 5, mlp_ratio: 2}";
inline constexpr const char* kTinyResnet =
    "{type: resnet, img_size: [32, 32], layers: [1, 1, 1, 1], channels: [8, 8, 16, 16], stem_channels: 8, block: "
    "basic, num_classes: 5, zero_init_last: false, "
    "attention: squeeze_excite}";
inline constexpr const char* kPlainResnet =
    "{type: resnet, img_size: [32, 32], layers: [1, 1, 1, 1], channels: [8, 8, 16, 16], stem_channels: 8, block: "
    "basic, num_classes: 5, zero_init_last: false}";

inline std::shared_ptr<const ExplainedModel> tiny_model(const std::string& config, uint64_t seed = 3) {
  return std::make_shared<ExplainedModel>([config, seed](Purpose purpose) {
    std::shared_ptr<ImageModel> model = build_model(ConfigNode::parse(config, "tiny.yaml"), "tiny");
    initialise_parameters(*model, seed, Purpose::training);
    // Larger than initialisers have it, so that attention is not the same everywhere; and with biases, without which
    // norms make of any dim picture the same as of a bright one.
    model->visit_parameters([](const std::string& name, Parameter& parameter) {
      if (parameter.buffer) return;
      Tensor value = parameter.value.value().clone();
      const Tensor noise = random_tensor(value.shape(), Rng::stream_of(name), 0.2f);
      for (int64_t i = 0; i < value.numel(); ++i)
        value.f32()[i] = value.rank() < 2 ? value.f32()[i] + noise.f32()[i] : 8.0f * value.f32()[i];
      parameter.value = Var(value);
    });
    if (purpose == Purpose::inference)
      model->visit_modules([](const std::string&, Module& module) { module.prepare(); });
    return model;
  });
}

inline ClassifierSubject tiny_subject(const std::string& config, int64_t target = 1, uint64_t seed = 3) {
  return ClassifierSubject(tiny_model(config, seed), target, "class");
}

inline Tensor random_pixels(int64_t batch = 1, int64_t side = 32) { return random_tensor({batch, 3, side, side}, 9); }

}  // namespace vit::test
