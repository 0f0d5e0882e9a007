#include "captioning/checkpoint_encoder.h"

#include <nlohmann/json.hpp>

#include "vit/autograd/names.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"

namespace captioning {

std::unique_ptr<vit::Vit> build_vision_transformer(const vit::ConfigNode& node, const std::string& part,
                                                   const std::string& need) {
  if (!node.is_map()) node.refuse(need + ": a map with `type` and its options");
  const vit::ConfigNode headless = node.with("num_classes", vit::ConfigNode::make_scalar("0", false, node.place()));
  std::unique_ptr<vit::ImageModel> model = vit::build_model(headless, part);
  auto* found = dynamic_cast<vit::Vit*>(model.get());
  if (!found) node.refuse("`" + part + "` must be a vision transformer: type `vit`");
  static_cast<void>(model.release());  // found owns it from here
  return std::unique_ptr<vit::Vit>(found);
}

CheckpointEncoder read_checkpoint_encoder(const vit::JsonObject& json, const std::string& prefix) {
  // The library builds the bare model, whatever class the weights were taken from.
  nlohmann::json bare = json.raw();
  bare.erase("architectures");
  vit::ModelPlan plan = vit::plan_model({bare, json.where(), nullptr});
  const auto* model = dynamic_cast<const vit::Vit*>(plan.model.get());
  if (!model) json.refuse("model_type", "'vit', 'deit' or 'dinov2'");
  CheckpointEncoder encoder{model->describe(), {}, model->config().embed_dim};
  const auto theirs = [&](std::string name) {
    if (name.starts_with("{p}")) name.replace(0, 3, plan.keys.prefix);
    return prefix + name;
  };
  for (const vit::KeyRule& rule : plan.keys.rules) {
    vit::KeyRule ours{"encoder." + rule.ours, {}, rule.transposed};
    for (const std::string& name : rule.theirs) ours.theirs.push_back(theirs(name));
    encoder.keys.rules.push_back(std::move(ours));
  }
  for (const std::string& name : plan.keys.ignored) encoder.keys.ignored.push_back(theirs(name));
  return encoder;
}

vit::VitConfig read_vision_tower(const vit::JsonObject& json, const std::string& activation, int64_t image_size,
                                 int64_t patch_size) {
  constexpr int64_t kWidest = 1 << 16;
  vit::VitConfig config;
  config.dialect = vit::Dialect::hugging_face;
  config.pos_interpolation = vit::Interpolation::bicubic;
  config.img_size = json.get_extents("image_size", {image_size, image_size}, {1, kWidest});
  config.patch_size = json.get_extents("patch_size", {patch_size, patch_size}, {1, 1 << 12});
  config.in_chans = json.get_int("num_channels", 3, {1, 1024});
  config.num_classes = 0;
  config.embed_dim = json.get_int("hidden_size", 768, {1, kWidest});
  config.depth = json.get_int("num_hidden_layers", 12, {0, 1024});
  config.num_heads = json.get_int("num_attention_heads", 12, {1, 1024});
  config.mlp_hidden = json.get_int("intermediate_size", 3072, {1, 1 << 20});
  config.norm_eps = static_cast<float>(json.get_double("layer_norm_eps", 1e-5, {0.0, 1.0}));
  config.act = vit::activation_of(json.get_string("hidden_act", activation), json.where("hidden_act"));
  return config;
}

vit::KeyMap vision_tower_keys(const std::string& ours) {
  const std::string tower = "vision_model.", layer = tower + "encoder.layers.{i}.";
  vit::KeyMap keys{{{ours + "cls_token", {tower + "embeddings.class_embedding"}},
                    {ours + "patch_embed.proj.weight", {tower + "embeddings.patch_embedding.weight"}},
                    {ours + "patch_embed.proj.bias", {tower + "embeddings.patch_embedding.bias"}}},
                   "",
                   {tower + "embeddings.position_ids"}};
  const std::vector<std::pair<std::string, std::string>> modules = {{"blocks.{i}.norm1", layer + "layer_norm1"},
                                                                    {"blocks.{i}.norm2", layer + "layer_norm2"},
                                                                    {"blocks.{i}.mlp.fc1", layer + "mlp.fc1"},
                                                                    {"blocks.{i}.mlp.fc2", layer + "mlp.fc2"},
                                                                    {"norm", tower + "post_layernorm"}};
  for (const auto& [own, name] : modules)
    for (vit::KeyRule& rule : vit::weight_and_bias(ours + own, {name})) keys.rules.push_back(std::move(rule));
  return keys;
}

}  // namespace captioning
