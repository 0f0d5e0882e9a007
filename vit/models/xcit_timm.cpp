// timm's config.json -> XcitConfig, and the names by which XCiT is built.
#include <nlohmann/json.hpp>

#include "vit/models/build.h"
#include "vit/models/timm_arguments.h"
#include "vit/models/xcit.h"

namespace vit {

namespace {

struct Architecture {
  const char* name;
  int64_t embed_dim, depth, num_heads;
  double eta;
  bool tokens_norm;
};

constexpr Architecture kArchitectures[] = {{"nano_12", 128, 12, 4, 1.0, false},  {"tiny_12", 192, 12, 4, 1.0, true},
                                           {"tiny_24", 192, 24, 4, 1e-5, true},  {"small_12", 384, 12, 8, 1.0, true},
                                           {"small_24", 384, 24, 8, 1e-5, true}, {"medium_24", 512, 24, 8, 1e-5, true},
                                           {"large_24", 768, 24, 16, 1e-5, true}};

/// What the entry functions of timm/models/xcit.py (huggingface/pytorch-image-models, Apache-2.0; facts only) set, for
/// patches of 16 and 8 and images of 224 and 384. Names that end in _dist are older ones of distilled checkpoints.
const std::map<std::string, nlohmann::json>& architectures() {
  static const std::map<std::string, nlohmann::json> table = [] {
    std::map<std::string, nlohmann::json> all;
    for (const Architecture& a : kArchitectures)
      for (const int patch : {16, 8})
        for (const int image : {224, 384})
          for (const char* suffix : {"", "_dist"})
            all.emplace(
                "xcit_" + std::string(a.name) + "_p" + std::to_string(patch) + "_" + std::to_string(image) + suffix,
                nlohmann::json{{"patch_size", patch},
                               {"img_size", image},
                               {"embed_dim", a.embed_dim},
                               {"depth", a.depth},
                               {"num_heads", a.num_heads},
                               {"eta", a.eta},
                               {"tokens_norm", a.tokens_norm}});
    return all;
  }();
  return table;
}

void check_arguments(const JsonObject& args) {
  check_timm_arguments(args,
                       {"img_size", "patch_size", "in_chans", "num_classes", "global_pool", "embed_dim", "depth",
                        "num_heads", "mlp_ratio", "qkv_bias", "cls_attn_layers", "use_pos_embed", "eta", "tokens_norm"},
                       {"drop_rate", "pos_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"});
}

XcitConfig read_arguments(const JsonObject& args) {
  check_arguments(args);
  constexpr int64_t kWidest = 1 << 16;
  XcitConfig config;
  config.img_size = args.get_extents("img_size", config.img_size, {1, kWidest});
  config.patch_size = args.get_int("patch_size", config.patch_size, {1, 1 << 12});
  config.in_chans = args.get_int("in_chans", config.in_chans, {1, 1024});
  config.num_classes = args.get_int("num_classes", config.num_classes, {0, 1 << 24});
  config.embed_dim = args.get_int("embed_dim", config.embed_dim, {8, kWidest});
  config.depth = args.get_int("depth", config.depth, {0, 1024});
  config.num_heads = args.get_int("num_heads", config.num_heads, {1, 1024});
  config.mlp_ratio = args.get_double("mlp_ratio", config.mlp_ratio, {0.0, 64.0});
  config.cls_attn_layers = args.get_int("cls_attn_layers", config.cls_attn_layers, {0, 1024});
  config.use_pos_embed = args.get_bool("use_pos_embed", config.use_pos_embed);
  config.eta = static_cast<float>(args.get_double("eta", static_cast<double>(config.eta)));
  config.tokens_norm = args.get_bool("tokens_norm", config.tokens_norm);
  config.global_pool = timm_global_pool(args, Pool::token, {Pool::token, Pool::avg});
  config.attention = timm_mechanism(args, "cross_covariance");
  config.cls_attention = timm_mechanism(args, "class_attention");
  config.validate();
  return config;
}

ModelPlan plan_timm_xcit(const CheckpointConfig& config) {
  const JsonObject file(config.json, config.where);
  const std::string name = file.require_string("architecture");
  const nlohmann::json args = timm_arguments(file, architectures().at(name));
  return {std::make_unique<Xcit>(read_arguments(JsonObject(args, config.where + ": model_args")), name), {}};
}

std::unique_ptr<ImageModel> build_xcit(const ConfigNode& options, const std::string& name) {
  return std::make_unique<Xcit>(read_config<XcitConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [name, arguments] : architectures()) timm_registry().add(name, plan_timm_xcit);
  return model_registry().add("xcit", build_xcit);
}();

}  // namespace

}  // namespace vit
