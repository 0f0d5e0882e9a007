#include "detection/checkpoint_backbone.h"

#include <nlohmann/json.hpp>

#include "vit/core/config.h"
#include "vit/io/json.h"
#include "vit/models/resnet.h"

namespace detection {

namespace {

constexpr char kModule[] = "backbone.";

/// What a registry makes of a configuration, as a ResNet's. Errors (usage): another family.
vit::ResNetConfig resnet_config(const vit::ModelPlan& plan, const std::string& where, const std::string& name) {
  const auto* resnet = dynamic_cast<const vit::ResNet*>(plan.model.get());
  if (!resnet)
    vit::fail_usage(where, ": detectors of this kind are read with ResNets as their backbone, not with '", name,
                    "'; a configuration in YAML takes any backbone");
  vit::ResNetConfig config = resnet->config();
  config.num_classes = 0;
  return config;
}

vit::ConfigNode frozen_node(vit::ResNetConfig config) {
  config.frozen_norm = true;
  config.num_classes = 0;
  return vit::write_config(config).with("type", vit::ConfigNode::make_scalar("resnet", true));
}

/// The last numbers of `out_indices`, which count the stem as 0.
std::vector<int64_t> maps_of(const vit::JsonObject& json, std::vector<int64_t> maps) {
  maps = json.get_ints("out_indices", maps, {1, 64});
  for (int64_t& map : maps) --map;
  return maps;
}

BackbonePlan plan_timm_backbone(const vit::CheckpointConfig& checkpoint, const std::string& prefix) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  const vit::JsonObject kwargs = json.get_object("backbone_kwargs");
  nlohmann::json arguments = kwargs.raw();
  arguments.erase("out_indices");
  if (!kwargs.has("in_chans")) arguments["in_chans"] = json.get_int("num_channels", 3, {1, 1024});
  if (json.get_bool("dilation", false) && !kwargs.has("output_stride")) arguments["output_stride"] = 16;
  BackbonePlan plan = plan_named_backbone(checkpoint, json.get_string("backbone", "resnet50"), arguments, prefix);
  plan.maps = maps_of(kwargs, {1, 2, 3, 4});
  return plan;
}

BackbonePlan plan_configured_backbone(const vit::CheckpointConfig& checkpoint, const std::string& prefix) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  const vit::JsonObject own = json.get_object("backbone_config");
  const std::string type = own.get_string("model_type", "resnet"), where = json.where("backbone_config");
  if (!vit::hugging_face_registry().contains(type))
    vit::fail_usage(where, ".model_type: ", vit::hugging_face_registry().unknown(type));
  const vit::ResNetConfig config = resnet_config(
      vit::hugging_face_registry().find(type)(vit::CheckpointConfig{own.raw(), where, nullptr}), where, type);
  BackbonePlan plan{.config = frozen_node(config), .rules = {}};
  for (const vit::KeyRule& rule : vit::resnet_hugging_face_keys(config, prefix).rules) {
    vit::KeyRule& nested = plan.rules.emplace_back(vit::KeyRule{kModule + rule.ours, rule.theirs});
    for (std::string& name : nested.theirs)
      if (name.starts_with("{p}")) name = prefix + name.substr(3);
  }
  plan.maps.clear();
  for (const std::string& stage : own.get_strings("out_features", {})) {
    const std::string number = stage.starts_with("stage") ? stage.substr(5) : "";
    if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos || number == "0")
      own.refuse("out_features", "names of stages, \"stage1\" and so on");
    plan.maps.push_back(std::stoll(number) - 1);
  }
  if (plan.maps.empty()) plan.maps = maps_of(own, {static_cast<int64_t>(config.layers.size())});
  return plan;
}

}  // namespace

BackbonePlan plan_named_backbone(const vit::CheckpointConfig& checkpoint, const std::string& name,
                                 const nlohmann::json& arguments, const std::string& prefix) {
  if (!vit::timm_registry().contains(name))
    vit::fail_usage(checkpoint.where, ": backbone: ", vit::timm_registry().unknown(name));
  const nlohmann::json description = {{"architecture", name}, {"model_args", arguments}};
  vit::ResNetConfig config = resnet_config(
      vit::timm_registry().find(name)(vit::CheckpointConfig{description, checkpoint.where + ": backbone", nullptr}),
      checkpoint.where, name);
  if (checkpoint.weights) config = vit::resnet_config_from_weights(*checkpoint.weights, prefix, config);
  BackbonePlan plan{.config = frozen_node(config), .rules = {}};
  config.num_classes = 0;
  vit::ResNet model(config, name);
  model.visit_parameters([&](const std::string& parameter, vit::Parameter&) {
    plan.rules.push_back({kModule + parameter, {prefix + parameter}});
  });
  plan.maps.resize(std::min(plan.maps.size(), config.layers.size()));
  return plan;
}

BackbonePlan plan_hugging_face_backbone(const vit::CheckpointConfig& checkpoint, const std::string& prefix) {
  const vit::JsonObject json(checkpoint.json, checkpoint.where);
  return json.get_bool("use_timm_backbone", true) ? plan_timm_backbone(checkpoint, prefix)
                                                  : plan_configured_backbone(checkpoint, prefix);
}

}  // namespace detection
