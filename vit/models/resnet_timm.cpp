// timm's config.json -> ResNetConfig.
#include <nlohmann/json.hpp>

#include "vit/models/build.h"
#include "vit/models/resnet.h"
#include "vit/models/resnet_timm_architectures.h"
#include "vit/models/timm_arguments.h"

namespace vit {

namespace {

/// timm's attn_layer names -> our mechanisms.
const std::map<std::string, std::string>& attention_layers() {
  static const std::map<std::string, std::string> names = {
      {"se", "{type: squeeze_excite}"},
      {"ese", "{type: effective_se}"},
      {"eca", "{type: eca}"},
      {"ecam", "{type: eca, use_mlp: true}"},
      {"ceca", "{type: eca, circular: true}"},
      {"gc", "{type: global_context}"},
      {"gca", "{type: global_context, fuse_add: true, fuse_scale: false}"},
      {"cbam", "{type: cbam}"},
      {"lcbam", "{type: light_cbam}"},
      {"nl", "{type: non_local}"},
      {"bat", "{type: bilinear}"}};
  return names;
}

ConfigNode read_attention(const JsonObject& block_args) {
  check_timm_arguments(block_args, {"attn_layer", "attn_kwargs"}, {});
  if (!block_args.has("attn_layer")) return {};
  // `true` stands for squeeze-excite, as in timm's get_attn.
  const bool flag = block_args.find("attn_layer")->is_boolean();
  if (flag && !block_args.get_bool("attn_layer", false)) return {};
  const std::string name = flag ? "se" : block_args.require_string("attn_layer");
  const auto found = attention_layers().find(name);
  if (found == attention_layers().end()) {
    std::vector<std::string> known;
    for (const auto& [timm, ours] : attention_layers()) known.push_back(timm);
    fail_usage(block_args.where("attn_layer"), ": '", name, "' is not supported", did_you_mean(name, known),
               "; known: ", joined(known));
  }
  const std::string kwargs = block_args.get_object("attn_kwargs").raw().dump();
  return ConfigNode::parse(found->second, block_args.where("attn_layer"))
      .merged_with(ConfigNode::parse(kwargs, block_args.where("attn_kwargs")));
}

void read_stem(const JsonObject& args, ResNetConfig& config) {
  config.stem_width = args.get_int("stem_width", config.stem_width, {1, 1 << 12});
  const std::string type = args.get_string("stem_type", "");
  if (!type.empty() && type != "deep" && type != "deep_tiered") args.refuse("stem_type", "'', 'deep' or 'deep_tiered'");
  config.stem_type = type.empty() ? ResNetStem::plain : type == "deep" ? ResNetStem::deep : ResNetStem::deep_tiered;
  config.replace_stem_pool = args.get_bool("replace_stem_pool", false);
  const std::string aa = args.get_string("aa_layer", "");
  if (!aa.empty() && aa != "avg" && aa != "avgpool") args.refuse("aa_layer", "'avg' (blur pooling is not supported)");
  config.aa = !aa.empty();
}

ResNetConfig read_arguments(const JsonObject& args) {
  check_timm_arguments(
      args,
      {"block", "layers", "channels", "num_classes", "in_chans", "output_stride", "global_pool", "cardinality",
       "base_width", "stem_width", "stem_type", "replace_stem_pool", "block_reduce_first", "down_kernel_size",
       "avg_down", "act_layer", "norm_layer", "aa_layer", "block_args"},
      {"img_size", "drop_rate", "drop_path_rate", "drop_block_rate", "zero_init_last"});
  ResNetConfig config;
  const std::string block = args.get_string("block", "bottleneck");
  if (block != "basic" && block != "bottleneck") args.refuse("block", "'basic' or 'bottleneck'");
  config.block = block == "basic" ? ResNetBlockKind::basic : ResNetBlockKind::bottleneck;
  config.layers = args.get_ints("layers", config.layers, {1, 1024});
  config.channels = args.get_ints("channels", config.channels, {1, 1 << 16});
  config.num_classes = args.get_int("num_classes", config.num_classes, {0, 1 << 24});
  config.in_chans = args.get_int("in_chans", config.in_chans, {1, 1024});
  config.output_stride = args.get_int("output_stride", 32, {8, 32});
  if (config.output_stride != 8 && config.output_stride != 16 && config.output_stride != 32)
    args.refuse("output_stride", "8, 16 or 32");
  config.cardinality = args.get_int("cardinality", 1, {1, 1 << 12});
  config.base_width = args.get_int("base_width", 64, {1, 1 << 12});
  config.block_reduce_first = args.get_int("block_reduce_first", 1, {1, 64});
  config.down_kernel_size = args.get_int("down_kernel_size", 1, {1, 3});
  config.avg_down = args.get_bool("avg_down", false);
  config.act = activation_of(args.get_string("act_layer", "relu"), args.where("act_layer"));
  const std::string norm = args.get_string("norm_layer", "batchnorm");
  if (norm != "batchnorm" && norm != "batchnorm2d") args.refuse("norm_layer", "'batchnorm'");
  read_stem(args, config);
  config.global_pool = timm_global_pool(args, Pool::avg, {Pool::avg, Pool::max, Pool::avgmax});
  config.attention = read_attention(args.get_object("block_args"));
  return config;
}

ModelPlan plan_timm_resnet(const CheckpointConfig& checkpoint) {
  const JsonObject file(checkpoint.json, checkpoint.where);
  const std::string name = file.require_string("architecture");
  const nlohmann::json args = timm_arguments(file, parse_json(timm_resnet_architectures().at(name), name));
  ResNetConfig config = read_arguments(JsonObject(args, checkpoint.where + ": model_args"));
  // Any size works; the one that the checkpoint was made for is what images are resized to.
  config.img_size = pretrained_input_size(file).value_or(config.img_size);
  return {std::make_unique<ResNet>(config, name), {}};
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [name, arguments] : timm_resnet_architectures()) timm_registry().add(name, plan_timm_resnet);
  return true;
}();

}  // namespace

}  // namespace vit
