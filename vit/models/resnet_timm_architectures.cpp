#include "vit/models/resnet_timm_architectures.h"

#include <array>

#include "vit/core/check.h"

namespace vit {

namespace {

// Blocks of each stage, by the number of layers that the literature counts.
constexpr const char* k10 = R"("block": "basic", "layers": [1, 1, 1, 1])";
constexpr const char* k14 = R"("block": "bottleneck", "layers": [1, 1, 1, 1])";
constexpr const char* k18 = R"("block": "basic", "layers": [2, 2, 2, 2])";
constexpr const char* k26 = R"("block": "bottleneck", "layers": [2, 2, 2, 2])";
constexpr const char* k34 = R"("block": "basic", "layers": [3, 4, 6, 3])";
constexpr const char* k50 = R"("block": "bottleneck", "layers": [3, 4, 6, 3])";
constexpr const char* k50Light = R"("block": "bottleneck", "layers": [1, 1, 11, 3])";
constexpr const char* k101 = R"("block": "bottleneck", "layers": [3, 4, 23, 3])";
constexpr const char* k152 = R"("block": "bottleneck", "layers": [3, 8, 36, 3])";
constexpr const char* k200 = R"("block": "bottleneck", "layers": [3, 24, 36, 3])";
constexpr const char* k201 = R"("block": "bottleneck", "layers": [3, 24, 36, 4])";
constexpr const char* k269 = R"("block": "bottleneck", "layers": [3, 30, 48, 8])";
constexpr const char* k270 = R"("block": "bottleneck", "layers": [4, 29, 53, 4])";
constexpr const char* k350 = R"("block": "bottleneck", "layers": [4, 36, 72, 4])";
constexpr const char* k420 = R"("block": "bottleneck", "layers": [4, 44, 87, 4])";

// Stems and shortcuts: the letters behind the number.
constexpr const char* kPlain = "";
constexpr const char* kC = R"("stem_width": 32, "stem_type": "deep")";
constexpr const char* kD = R"("stem_width": 32, "stem_type": "deep", "avg_down": true)";
constexpr const char* kS = R"("stem_width": 64, "stem_type": "deep")";
constexpr const char* kT = R"("stem_width": 32, "stem_type": "deep_tiered", "avg_down": true)";
constexpr const char* kAvgDown = R"("avg_down": true)";
constexpr const char* kAa = R"("aa_layer": "avg")";
constexpr const char* kAaD = R"("aa_layer": "avg", "stem_width": 32, "stem_type": "deep", "avg_down": true)";
constexpr const char* kAaWideD = R"("aa_layer": "avg", "stem_width": 64, "stem_type": "deep", "avg_down": true)";
constexpr const char* kRs = R"("stem_width": 32, "stem_type": "deep", "replace_stem_pool": true, "avg_down": true,
    "block_args": {"attn_layer": "se", "attn_kwargs": {"rd_ratio": 0.25}})";
constexpr const char* kSeNet = R"("stem_type": "deep", "down_kernel_size": 3, "block_reduce_first": 2,
    "block_args": {"attn_layer": "se"})";

// Groups and widths of the bottleneck.
constexpr const char* k32x4 = R"("cardinality": 32, "base_width": 4)";
constexpr const char* k32x8 = R"("cardinality": 32, "base_width": 8)";
constexpr const char* k32x16 = R"("cardinality": 32, "base_width": 16)";
constexpr const char* k32x32 = R"("cardinality": 32, "base_width": 32)";
constexpr const char* k64x4 = R"("cardinality": 64, "base_width": 4)";
constexpr const char* kWide = R"("base_width": 128)";

constexpr const char* kSe = R"("block_args": {"attn_layer": "se"})";
constexpr const char* kEca = R"("block_args": {"attn_layer": "eca"})";

struct Architecture {
  const char *name, *depth, *variant, *width = "", *attention = "";
};

constexpr std::array kArchitectures = {
    Architecture{"resnet10t", k10, kT},
    Architecture{"resnet14t", k14, kT},
    Architecture{"resnet18", k18, kPlain},
    Architecture{"resnet18d", k18, kD},
    Architecture{"resnet26", k26, kPlain},
    Architecture{"resnet26d", k26, kD},
    Architecture{"resnet26t", k26, kT},
    Architecture{"resnet34", k34, kPlain},
    Architecture{"resnet34d", k34, kD},
    Architecture{"resnet50", k50, kPlain},
    Architecture{"resnet50c", k50, kC},
    Architecture{"resnet50d", k50, kD},
    Architecture{"resnet50s", k50, kS},
    Architecture{"resnet50t", k50, kT},
    Architecture{"resnet101", k101, kPlain},
    Architecture{"resnet101c", k101, kC},
    Architecture{"resnet101d", k101, kD},
    Architecture{"resnet101s", k101, kS},
    Architecture{"resnet152", k152, kPlain},
    Architecture{"resnet152c", k152, kC},
    Architecture{"resnet152d", k152, kD},
    Architecture{"resnet152s", k152, kS},
    Architecture{"resnet200", k200, kPlain},
    Architecture{"resnet200d", k200, kD},
    Architecture{"wide_resnet50_2", k50, kPlain, kWide},
    Architecture{"wide_resnet101_2", k101, kPlain, kWide},
    Architecture{"resnext50_32x4d", k50, kPlain, k32x4},
    Architecture{"resnext50d_32x4d", k50, kD, k32x4},
    Architecture{"resnext101_32x4d", k101, kPlain, k32x4},
    Architecture{"resnext101_32x8d", k101, kPlain, k32x8},
    Architecture{"resnext101_32x16d", k101, kPlain, k32x16},
    Architecture{"resnext101_32x32d", k101, kPlain, k32x32},
    Architecture{"resnext101_64x4d", k101, kPlain, k64x4},
    Architecture{"ecaresnet26t", k26, kT, "", kEca},
    Architecture{"ecaresnet50d", k50, kD, "", kEca},
    Architecture{"ecaresnet50t", k50, kT, "", kEca},
    Architecture{"ecaresnetlight", k50Light, kAvgDown, "", kEca},
    Architecture{"ecaresnet101d", k101, kD, "", kEca},
    Architecture{"ecaresnet200d", k200, kD, "", kEca},
    Architecture{"ecaresnet269d", k269, kD, "", kEca},
    Architecture{"ecaresnext26t_32x4d", k26, kT, k32x4, kEca},
    Architecture{"ecaresnext50t_32x4d", k26, kT, k32x4, kEca},  // timm gives it the layers of the 26
    Architecture{"seresnet18", k18, kPlain, "", kSe},
    Architecture{"seresnet34", k34, kPlain, "", kSe},
    Architecture{"seresnet50", k50, kPlain, "", kSe},
    Architecture{"seresnet50t", k50, kT, "", kSe},
    Architecture{"seresnet101", k101, kPlain, "", kSe},
    Architecture{"seresnet152", k152, kPlain, "", kSe},
    Architecture{"seresnet152d", k152, kD, "", kSe},
    Architecture{"seresnet200d", k200, kD, "", kSe},
    Architecture{"seresnet269d", k269, kD, "", kSe},
    Architecture{"seresnext26d_32x4d", k26, kD, k32x4, kSe},
    Architecture{"seresnext26t_32x4d", k26, kT, k32x4, kSe},
    Architecture{"seresnext50_32x4d", k50, kPlain, k32x4, kSe},
    Architecture{"seresnext101_32x4d", k101, kPlain, k32x4, kSe},
    Architecture{"seresnext101_32x8d", k101, kPlain, k32x8, kSe},
    Architecture{"seresnext101d_32x8d", k101, kD, k32x8, kSe},
    Architecture{"seresnext101_64x4d", k101, kPlain, k64x4, kSe},
    Architecture{"senet154", k152, kSeNet, k64x4},
    Architecture{"resnetaa34d", k34, kAaD},
    Architecture{"resnetaa50", k50, kAa},
    Architecture{"resnetaa50d", k50, kAaD},
    Architecture{"resnetaa101d", k101, kAaD},
    Architecture{"seresnetaa50d", k50, kAaD, "", kSe},
    Architecture{"seresnextaa101d_32x8d", k101, kAaD, k32x8, kSe},
    Architecture{"seresnextaa201d_32x8d", k201, kAaWideD, k32x8, kSe},
    Architecture{"resnetrs50", k50, kRs},
    Architecture{"resnetrs101", k101, kRs},
    Architecture{"resnetrs152", k152, kRs},
    Architecture{"resnetrs200", k200, kRs},
    Architecture{"resnetrs270", k270, kRs},
    Architecture{"resnetrs350", k350, kRs},
    Architecture{"resnetrs420", k420, kRs},
};

struct Alias {
  const char *old_name, *name;
};

/// Names of earlier versions of timm, which older checkpoints carry.
constexpr std::array kAliases = {
    Alias{"tv_resnet34", "resnet34"},
    Alias{"tv_resnet50", "resnet50"},
    Alias{"tv_resnet101", "resnet101"},
    Alias{"tv_resnet152", "resnet152"},
    Alias{"tv_resnext50_32x4d", "resnext50_32x4d"},
    Alias{"ig_resnext101_32x8d", "resnext101_32x8d"},
    Alias{"ig_resnext101_32x16d", "resnext101_32x16d"},
    Alias{"ig_resnext101_32x32d", "resnext101_32x32d"},
    Alias{"ssl_resnet18", "resnet18"},
    Alias{"ssl_resnet50", "resnet50"},
    Alias{"ssl_resnext50_32x4d", "resnext50_32x4d"},
    Alias{"ssl_resnext101_32x4d", "resnext101_32x4d"},
    Alias{"ssl_resnext101_32x8d", "resnext101_32x8d"},
    Alias{"ssl_resnext101_32x16d", "resnext101_32x16d"},
    Alias{"swsl_resnet18", "resnet18"},
    Alias{"swsl_resnet50", "resnet50"},
    Alias{"swsl_resnext50_32x4d", "resnext50_32x4d"},
    Alias{"swsl_resnext101_32x4d", "resnext101_32x4d"},
    Alias{"swsl_resnext101_32x8d", "resnext101_32x8d"},
    Alias{"swsl_resnext101_32x16d", "resnext101_32x16d"},
    Alias{"gluon_resnet18_v1b", "resnet18"},
    Alias{"gluon_resnet34_v1b", "resnet34"},
    Alias{"gluon_resnet50_v1b", "resnet50"},
    Alias{"gluon_resnet101_v1b", "resnet101"},
    Alias{"gluon_resnet152_v1b", "resnet152"},
    Alias{"gluon_resnet50_v1c", "resnet50c"},
    Alias{"gluon_resnet101_v1c", "resnet101c"},
    Alias{"gluon_resnet152_v1c", "resnet152c"},
    Alias{"gluon_resnet50_v1d", "resnet50d"},
    Alias{"gluon_resnet101_v1d", "resnet101d"},
    Alias{"gluon_resnet152_v1d", "resnet152d"},
    Alias{"gluon_resnet50_v1s", "resnet50s"},
    Alias{"gluon_resnet101_v1s", "resnet101s"},
    Alias{"gluon_resnet152_v1s", "resnet152s"},
    Alias{"gluon_resnext50_32x4d", "resnext50_32x4d"},
    Alias{"gluon_resnext101_32x4d", "resnext101_32x4d"},
    Alias{"gluon_resnext101_64x4d", "resnext101_64x4d"},
    Alias{"gluon_seresnext50_32x4d", "seresnext50_32x4d"},
    Alias{"gluon_seresnext101_32x4d", "seresnext101_32x4d"},
    Alias{"gluon_seresnext101_64x4d", "seresnext101_64x4d"},
    Alias{"gluon_senet154", "senet154"},
    Alias{"seresnext26tn_32x4d", "seresnext26t_32x4d"},
};

std::string json_of(const Architecture& architecture) {
  std::string json = str("{", architecture.depth);
  for (const char* part : {architecture.variant, architecture.width, architecture.attention})
    if (*part) json += str(", ", part);
  return json + "}";
}

std::map<std::string, std::string> make_table() {
  std::map<std::string, std::string> table;
  for (const Architecture& architecture : kArchitectures) table.emplace(architecture.name, json_of(architecture));
  for (const Alias& alias : kAliases) table.emplace(alias.old_name, table.at(alias.name));
  return table;
}

}  // namespace

const std::map<std::string, std::string>& timm_resnet_architectures() {
  static const std::map<std::string, std::string> table = make_table();
  return table;
}

}  // namespace vit
