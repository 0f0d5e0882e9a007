#include "detection/checkpoint_backbone.h"

#include <nlohmann/json.hpp>

#include "vit/models/build.h"
#include "vit/models/resnet.h"

namespace detection {

namespace {

/// transformers counts the stem as map 0 and timm what comes before the first pooling; neither is offered here.
std::vector<int64_t> stages_of(const std::vector<int64_t>& out_indices, const vit::JsonObject& json,
                               const std::string& key) {
  std::vector<int64_t> maps;
  for (const int64_t index : out_indices) {
    if (index < 1) json.refuse(key, "maps of the stages, counted from 1");
    maps.push_back(index - 1);
  }
  return maps;
}

void add_rules(CheckpointBackbone& result, const vit::KeyMap& keys) {
  for (const vit::KeyRule& rule : keys.rules) {
    vit::KeyRule ours{"backbone." + rule.ours, rule.theirs};
    for (std::string& name : ours.theirs)
      if (name.starts_with("{p}")) name.replace(0, 3, keys.prefix);
    result.rules.push_back(std::move(ours));
  }
}

/// The configuration that timm's name stands for; what the weights tell comes from them.
vit::ResNetConfig timm_config(const std::string& name, const vit::JsonObject& kwargs, const vit::JsonObject& json,
                              const vit::Weights* weights, const std::string& prefix) {
  nlohmann::json file{{"architecture", name}};
  for (const char* key : {"output_stride", "in_chans"})
    if (kwargs.has(key)) file["model_args"][key] = *kwargs.find(key);
  const vit::ModelPlan plan = vit::plan_model({file, json.where("backbone"), nullptr});
  const auto* resnet = dynamic_cast<const vit::ResNet*>(plan.model.get());
  if (!resnet) json.refuse("backbone", "a ResNet of timm");
  vit::ResNetConfig config = resnet->config();
  return weights ? vit::resnet_config_from_weights(*weights, prefix, config) : config;
}

CheckpointBackbone read_timm(const vit::JsonObject& json, const vit::Weights* weights,
                             const CheckpointBackboneOptions& options) {
  // AutoBackbone wraps timm's model; detectors that call timm themselves do not.
  std::string prefix = options.prefix;
  if (weights && !weights->contains(prefix + "layer1.0.conv1.weight") &&
      weights->contains(prefix + "_backbone.layer1.0.conv1.weight"))
    prefix += "_backbone.";
  const std::string name = json.require_string("backbone");
  const vit::JsonObject kwargs = json.get_object("backbone_kwargs");
  vit::ResNetConfig config = timm_config(name, kwargs, json, weights, prefix);
  config.num_classes = 0;
  config.img_size = options.img_size;
  config.frozen_norm = options.frozen_norm;
  if (options.dilation && !kwargs.has("output_stride")) config.output_stride = 16;
  CheckpointBackbone result;
  result.maps = stages_of(kwargs.get_ints("out_indices", options.out_indices, {-64, 64}), kwargs, "out_indices");
  // timm leaves out the stages after the last wanted map.
  auto resnet = std::make_unique<vit::ResNet>(config, name);
  add_rules(result, vit::prefixed_keys(*resnet, prefix));
  result.backbone = std::move(resnet);
  return result;
}

CheckpointBackbone read_hugging_face(const vit::JsonObject& json, const CheckpointBackboneOptions& options) {
  const vit::JsonObject own = json.get_object("backbone_config");
  const std::string type = own.get_string("model_type", "resnet");
  if (type != "resnet" && type != "rt_detr_resnet") own.refuse("model_type", "'resnet' or 'rt_detr_resnet'");
  vit::ResNetConfig config = vit::resnet_config_from_hugging_face(own);
  config.img_size = options.img_size;
  config.frozen_norm = options.frozen_norm;
  const auto stages = static_cast<int64_t>(config.layers.size());
  std::vector<int64_t> indices = own.get_ints("out_indices", {}, {-64, 64});
  if (indices.empty()) {
    for (const std::string& stage : own.get_strings("out_features", {vit::str("stage", stages)})) {
      if (!stage.starts_with("stage") || stage.size() != 6) own.refuse("out_features", "'stage1', 'stage2', ...");
      indices.push_back(stage[5] - '0');
    }
  }
  for (int64_t& index : indices) index += index < 0 ? stages + 1 : 0;
  CheckpointBackbone result;
  result.maps = stages_of(indices, own, "out_indices");
  add_rules(result, vit::resnet_hugging_face_keys(config, options.prefix));
  result.backbone = std::make_unique<vit::ResNet>(config, type);
  return result;
}

}  // namespace

CheckpointBackbone read_checkpoint_backbone(const vit::JsonObject& json, const vit::Weights* weights,
                                            const CheckpointBackboneOptions& options) {
  const bool own_config = json.find("backbone_config") && json.find("backbone_config")->is_object();
  if (own_config) return read_hugging_face(json, options);
  return read_timm(json, weights, options);
}

}  // namespace detection
