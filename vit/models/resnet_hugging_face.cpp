// Hugging Face's `resnet` and RT-DETR's `rt_detr_resnet` -> ResNetConfig, and the table of its tensor names. Defaults
// are those of ResNetConfig in transformers, because config.json omits what equals them.
#include <nlohmann/json.hpp>

#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"
#include "vit/models/resnet.h"

namespace vit {

namespace {

void add_conv_norm(KeyMap& keys, const std::string& our_conv, const std::string& our_norm, const std::string& theirs) {
  keys.rules.push_back({our_conv + ".weight", {theirs + ".convolution.weight"}});
  for (const char* kind : {".weight", ".bias", ".running_mean", ".running_var"})
    keys.rules.push_back({our_norm + kind, {theirs + ".normalization" + kind}});
}

ModelPlan plan_resnet(const CheckpointConfig& checkpoint) {
  const JsonObject json(checkpoint.json, checkpoint.where);
  ResNetConfig config = resnet_config_from_hugging_face(json);
  const std::vector<std::string> classes = json.get_strings("architectures", {});
  const bool named = !classes.empty() && classes.front().ends_with("ForImageClassification");
  const bool classifier = checkpoint.weights ? checkpoint.weights->contains("classifier.1.weight") : named;
  config.num_classes = classifier ? hugging_face_label_count(json) : 0;
  const bool nested =
      checkpoint.weights ? checkpoint.weights->contains("resnet.embedder.embedder.convolution.weight") : named;
  return {std::make_unique<ResNet>(config, "resnet"), resnet_hugging_face_keys(config, nested ? "resnet." : "")};
}

[[maybe_unused]] const bool kRegistered = hugging_face_registry().add("resnet", plan_resnet);

}  // namespace

ResNetConfig resnet_config_from_hugging_face(const JsonObject& json) {
  ResNetConfig config;
  const bool rt_detr = json.get_string("model_type", "resnet") == "rt_detr_resnet";
  config.dialect = Dialect::hugging_face;
  config.num_classes = 0;
  config.in_chans = json.get_int("num_channels", 3, {1, 1024});
  const int64_t stem = json.get_int("embedding_size", 64, {2, 1 << 16});
  config.stem_channels = stem;
  config.layers = json.get_ints("depths", {3, 4, 6, 3}, {1, 1024});
  const std::string layer = json.get_string("layer_type", "bottleneck");
  if (layer != "basic" && layer != "bottleneck") json.refuse("layer_type", "'basic' or 'bottleneck'");
  config.block = layer == "basic" ? ResNetBlockKind::basic : ResNetBlockKind::bottleneck;
  config.channels = json.get_ints("hidden_sizes", {256, 512, 1024, 2048}, {1, 1 << 18});
  for (int64_t& channels : config.channels) {
    if (channels % expansion_of(config.block) != 0) json.refuse("hidden_sizes", "multiples of 4 for bottlenecks");
    channels /= expansion_of(config.block);
  }
  config.act = activation_of(json.get_string("hidden_act", "relu"), json.where("hidden_act"));
  config.downsample_in_first_stage = json.get_bool("downsample_in_first_stage", false);
  config.downsample_in_bottleneck =
      config.block == ResNetBlockKind::bottleneck && json.get_bool("downsample_in_bottleneck", false);
  if (rt_detr) {
    if (stem % 2 != 0) json.refuse("embedding_size", "an even number");
    config.stem_type = ResNetStem::deep;
    config.stem_width = stem / 2;
    config.avg_down = true;
    config.project_first = config.block == ResNetBlockKind::basic;
    if (config.project_first && !config.downsample_in_first_stage && config.channels[0] != stem)
      json.refuse("hidden_sizes", str("embedding_size, ", stem, ", in front, where basic blocks do not stride"));
  }
  return config;
}

KeyMap resnet_hugging_face_keys(const ResNetConfig& config, const std::string& prefix) {
  KeyMap keys{{}, prefix, {}};
  if (config.stem_type == ResNetStem::plain) {
    add_conv_norm(keys, "conv1", "bn1", "{p}embedder.embedder");
  } else {
    add_conv_norm(keys, "conv1.0", "conv1.1", "{p}embedder.embedder.0");
    add_conv_norm(keys, "conv1.3", "conv1.4", "{p}embedder.embedder.1");
    add_conv_norm(keys, "conv1.6", "bn1", "{p}embedder.embedder.2");
  }
  const int64_t convs = config.block == ResNetBlockKind::basic ? 2 : 3;
  for (size_t s = 0; s < config.layers.size(); ++s) {
    const std::string ours = str("layer", s + 1, ".{i}."), theirs = str("{p}encoder.stages.", s, ".layers.{i}.");
    for (int64_t i = 0; i < convs; ++i)
      add_conv_norm(keys, str(ours, "conv", i + 1), str(ours, "bn", i + 1), str(theirs, "layer.", i));
    // A mean in front of the convolution counts as the shortcut's first part, where there is a stride to take.
    const bool averages = config.averages_shortcut(s), strides = s > 0 || config.downsample_in_first_stage;
    add_conv_norm(keys, str(ours, "downsample.", averages ? 1 : 0), str(ours, "downsample.", averages ? 2 : 1),
                  theirs + (averages && strides ? "shortcut.1" : "shortcut"));
  }
  for (const char* kind : {".weight", ".bias"}) keys.rules.push_back({str("fc", kind), {str("classifier.1", kind)}});
  return keys;
}

}  // namespace vit
