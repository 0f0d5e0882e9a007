// timm's config.json -> CaitConfig, and the names by which CaiT is built.
#include <nlohmann/json.hpp>

#include "vit/models/build.h"
#include "vit/models/cait.h"
#include "vit/models/timm_arguments.h"

namespace vit {

namespace {

struct Architecture {
  int64_t embed_dim, depth, num_heads;
  double init_values;
  int64_t img_size;
};

/// What the entry functions of timm/models/cait.py (huggingface/pytorch-image-models, Apache-2.0; facts only) set, and
/// the input size of their default configurations.
const std::map<std::string, Architecture>& architectures() {
  static const std::map<std::string, Architecture> table = {
      {"cait_xxs24_224", {192, 24, 4, 1e-5, 224}}, {"cait_xxs24_384", {192, 24, 4, 1e-5, 384}},
      {"cait_xxs36_224", {192, 36, 4, 1e-5, 224}}, {"cait_xxs36_384", {192, 36, 4, 1e-5, 384}},
      {"cait_xs24_384", {288, 24, 6, 1e-5, 384}},  {"cait_s24_224", {384, 24, 8, 1e-5, 224}},
      {"cait_s24_384", {384, 24, 8, 1e-5, 384}},   {"cait_s36_384", {384, 36, 8, 1e-6, 384}},
      {"cait_m36_384", {768, 36, 16, 1e-6, 384}},  {"cait_m48_448", {768, 48, 16, 1e-6, 448}}};
  return table;
}

nlohmann::json entry_arguments(const Architecture& architecture) {
  return {{"patch_size", 16},
          {"embed_dim", architecture.embed_dim},
          {"depth", architecture.depth},
          {"num_heads", architecture.num_heads},
          {"init_values", architecture.init_values},
          {"img_size", architecture.img_size}};
}

void check_arguments(const JsonObject& args) {
  check_timm_arguments(
      args,
      {"img_size", "patch_size", "in_chans", "num_classes", "global_pool", "embed_dim", "depth", "num_heads",
       "mlp_ratio", "qkv_bias", "init_values", "depth_token_only", "mlp_ratio_token_only"},
      {"drop_rate", "pos_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"});
}

CaitConfig read_arguments(const JsonObject& args) {
  check_arguments(args);
  constexpr int64_t kWidest = 1 << 16;
  CaitConfig config;
  config.img_size = args.get_extents("img_size", config.img_size, {1, kWidest});
  const std::array<int64_t, 2> patch = args.get_extents("patch_size", {16, 16}, {1, 1 << 12});
  if (patch[0] != patch[1]) args.refuse("patch_size", "a square patch");
  config.patch_size = patch[0];
  config.in_chans = args.get_int("in_chans", config.in_chans, {1, 1024});
  config.num_classes = args.get_int("num_classes", config.num_classes, {0, 1 << 24});
  config.embed_dim = args.get_int("embed_dim", config.embed_dim, {1, kWidest});
  config.depth = args.get_int("depth", config.depth, {0, 1024});
  config.num_heads = args.get_int("num_heads", config.num_heads, {1, 1024});
  config.mlp_ratio = args.get_double("mlp_ratio", config.mlp_ratio, {0.0, 64.0});
  config.depth_token_only = args.get_int("depth_token_only", config.depth_token_only, {0, 1024});
  config.mlp_ratio_token_only = args.get_double("mlp_ratio_token_only", config.mlp_ratio_token_only, {0.0, 64.0});
  config.init_values = static_cast<float>(args.get_double("init_values", config.init_values));
  config.global_pool = timm_global_pool(args, Pool::token, {Pool::token, Pool::avg});
  config.attention = timm_mechanism(args, "talking_heads");
  config.attention_token_only = timm_mechanism(args, "class_attention");
  config.validate();
  return config;
}

ModelPlan plan_timm_cait(const CheckpointConfig& config) {
  const JsonObject file(config.json, config.where);
  const std::string name = file.require_string("architecture");
  const nlohmann::json args = timm_arguments(file, entry_arguments(architectures().at(name)));
  return {std::make_unique<Cait>(read_arguments(JsonObject(args, config.where + ": model_args")), name), {}};
}

std::unique_ptr<ImageModel> build_cait(const ConfigNode& options, const std::string& name) {
  return std::make_unique<Cait>(read_config<CaitConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [name, architecture] : architectures()) timm_registry().add(name, plan_timm_cait);
  return model_registry().add("cait", build_cait);
}();

}  // namespace

}  // namespace vit
