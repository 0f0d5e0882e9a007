#include "vit/models/maxxvit_timm_architectures.h"

#include <array>
#include <sstream>

#include "vit/core/check.h"

namespace vit {

namespace {

// Widths, by the names of the models.
constexpr const char* kPico = R"("embed_dim": [32, 64, 128, 256], "stem_width": [24, 32])";
constexpr const char* kNano = R"("embed_dim": [64, 128, 256, 512], "stem_width": [32, 64])";
constexpr const char* kSmall = R"("embed_dim": [96, 192, 384, 768], "stem_width": [32, 64])";
constexpr const char* kSmallWideStem = R"("embed_dim": [96, 192, 384, 768], "stem_width": [48, 96])";
constexpr const char* kBase = R"("embed_dim": [128, 256, 512, 1024], "stem_width": [64, 128])";
constexpr const char* kLarge = R"("embed_dim": [160, 320, 640, 1280], "stem_width": [80, 160])";
constexpr const char* kXLarge = R"("embed_dim": [192, 384, 768, 1536], "stem_width": [96, 192])";
// The papers' own: both convolutions of the stem are equally wide, and the head has a hidden layer.
constexpr const char* kPaper64 = R"("embed_dim": [64, 128, 256, 512], "stem_width": 64, "head_hidden_size": 512)";
constexpr const char* kPaper96 = R"("embed_dim": [96, 192, 384, 768], "stem_width": 64, "head_hidden_size": 768)";
constexpr const char* kPaper128 = R"("embed_dim": [128, 256, 512, 1024], "stem_width": 128, "head_hidden_size": 1024)";
constexpr const char* kPaper192 = R"("embed_dim": [192, 384, 768, 1536], "stem_width": 192, "head_hidden_size": 1536)";
constexpr const char* kPaper256 = R"("embed_dim": [256, 512, 1280, 2048], "stem_width": 192, "head_hidden_size": 2048)";

// What the families share.
constexpr const char* kPaper = "";
constexpr const char* kCoatRw = R"("conv_stride_mode": "pool", "conv_pre_norm_act": true, "conv_expand_output": false,
    "conv_output_bias": false, "conv_attn_act_layer": "relu", "conv_act_layer": "silu",
    "transformer_expand_first": false)";
constexpr const char* kMaxRw = R"("conv_expand_output": false, "conv_output_bias": false,
    "conv_attn_ratio": 0.0625, "conv_act_layer": "silu", "transformer_expand_first": false)";
constexpr const char* kNext = R"("conv_block_type": "convnext", "conv_expand_output": false,
    "conv_init_values": 1e-6, "transformer_expand_first": false, "transformer_init_values": 1e-6,
    "transformer_rel_pos_type": "mlp")";
constexpr const char* kTf = R"("stem_bias": true, "conv_norm_eps": 1e-3, "conv_act_layer": "gelu_tanh",
    "conv_padding": "same", "transformer_norm_eps": 1e-5, "transformer_act_layer": "gelu_tanh",
    "transformer_head_first": false, "transformer_rel_pos_type": "bias_tf")";
constexpr const char* kConvAttention = R"("block_type": ["C", "C", "T", "T"])";
constexpr const char* kAllM = R"("block_type": ["M", "M", "M", "M"])";
constexpr const char* kAllPm = R"("block_type": ["PM", "PM", "PM", "PM"])";
constexpr const char* kNoBlock = R"("block_type": ["M", "M", "M", "M"], "transformer_no_block_attn": true)";

// What single models change.
constexpr const char* kPicoCoat = R"("conv_output_bias": true, "conv_attn_ratio": 0.25)";
constexpr const char* kNanoCoat = R"("conv_stride_mode": "pool", "conv_output_bias": true, "conv_attn_ratio": 0.25)";
constexpr const char* kEarly = R"("conv_attn_early": true, "transformer_shortcut_bias": false)";
constexpr const char* kEarlyDw =
    R"("conv_stride_mode": "dw", "conv_attn_early": true, "transformer_shortcut_bias": false)";
constexpr const char* kEarlyDwBn = R"("conv_stride_mode": "dw", "conv_attn_early": true,
    "transformer_shortcut_bias": false, "transformer_norm_layer": "batchnorm2d")";
constexpr const char* kDwSilu = R"("conv_stride_mode": "dw", "conv_attn_act_layer": "silu")";
constexpr const char* kDwSiluScaled =
    R"("conv_stride_mode": "dw", "conv_attn_act_layer": "silu", "transformer_init_values": 1e-6)";
constexpr const char* kMlpNanoCoat = R"("conv_output_bias": true, "conv_attn_ratio": 0.25,
    "transformer_rel_pos_type": "mlp", "transformer_rel_pos_dim": 384)";
constexpr const char* kMlpDw = R"("conv_stride_mode": "dw", "transformer_rel_pos_type": "mlp")";
constexpr const char* kMlpMax = R"("conv_pool_type": "max", "transformer_pool_type": "max", "conv_attn_early": true,
    "transformer_shortcut_bias": false, "transformer_rel_pos_type": "mlp", "transformer_rel_pos_dim": 384)";
constexpr const char* kMlpDwSiluScaled = R"("conv_stride_mode": "dw", "conv_attn_act_layer": "silu",
    "transformer_init_values": 1e-6, "transformer_rel_pos_type": "mlp")";
constexpr const char* kMlp = R"("transformer_rel_pos_type": "mlp")";
constexpr const char* kMlpScaled = R"("transformer_rel_pos_type": "mlp", "transformer_init_values": 1e-6)";
constexpr const char* kMlpHidden = R"("transformer_rel_pos_type": "mlp", "head_hidden_size": 768)";
constexpr const char* kTable = R"("transformer_rel_pos_type": "bias")";
constexpr const char* kTableNext =
    R"("transformer_rel_pos_type": "bias", "conv_init_values": 1e-5, "transformer_init_values": null)";
constexpr const char* kMixed = R"("block_type": ["C", "C", ["C", "T"], ["C", "T"]])";
constexpr const char* kHidden1280 = R"("head_hidden_size": 1280)";
constexpr const char* kTfSizes = "224 384 512";

/// What is said later overrides what was said before: of a key that is there twice, JSON keeps the last.
struct Architecture {
  const char* name;
  const char* widths;
  const char* depths;  ///< blocks of each stage
  const char* family;
  const char* blocks;
  const char* more = "";
  const char* sizes = "224";  ///< of the images, by which the name ends
};

constexpr std::array kArchitectures = {
    // timm's own CoAtNets
    Architecture{"coatnet_pico_rw", kNano, "[2, 3, 5, 2]", kMaxRw, kConvAttention, kPicoCoat},
    Architecture{"coatnet_nano_rw", kNano, "[3, 4, 6, 3]", kMaxRw, kConvAttention, kNanoCoat},
    Architecture{"coatnet_0_rw", kSmall, "[2, 3, 7, 2]", kCoatRw, kConvAttention, kEarly},
    Architecture{"coatnet_1_rw", kSmall, "[2, 6, 14, 2]", kCoatRw, kConvAttention, kEarlyDw},
    Architecture{"coatnet_2_rw", kBase, "[2, 6, 14, 2]", kCoatRw, kConvAttention, kDwSilu},
    Architecture{"coatnet_3_rw", kXLarge, "[2, 6, 14, 2]", kCoatRw, kConvAttention, kDwSiluScaled},
    Architecture{"coatnet_bn_0_rw", kSmall, "[2, 3, 7, 2]", kCoatRw, kConvAttention, kEarlyDwBn},
    Architecture{"coatnet_rmlp_nano_rw", kNano, "[3, 4, 6, 3]", kMaxRw, kConvAttention, kMlpNanoCoat},
    Architecture{"coatnet_rmlp_0_rw", kSmall, "[2, 3, 7, 2]", kCoatRw, kConvAttention, kMlpDw},
    Architecture{"coatnet_rmlp_1_rw", kSmall, "[2, 6, 14, 2]", kCoatRw, kConvAttention, kMlpMax},
    Architecture{"coatnet_rmlp_1_rw2", kSmall, "[2, 6, 14, 2]", kCoatRw, kConvAttention, kMlpDw},
    Architecture{"coatnet_rmlp_2_rw", kBase, "[2, 6, 14, 2]", kCoatRw, kConvAttention, kMlpDwSiluScaled, "224 384"},
    Architecture{"coatnet_rmlp_3_rw", kXLarge, "[2, 6, 14, 2]", kCoatRw, kConvAttention, kMlpDwSiluScaled},
    Architecture{"coatnet_nano_cc", kNano, "[3, 4, 6, 3]", kCoatRw, kMixed},
    Architecture{"coatnext_nano_rw", kNano, "[3, 4, 6, 3]", kNext, kConvAttention, kTableNext},
    // Dai et al. 2021
    Architecture{"coatnet_0", kPaper96, "[2, 3, 5, 2]", kPaper, kConvAttention},
    Architecture{"coatnet_1", kPaper96, "[2, 6, 14, 2]", kPaper, kConvAttention},
    Architecture{"coatnet_2", kPaper128, "[2, 6, 14, 2]", kPaper, kConvAttention},
    Architecture{"coatnet_3", kPaper192, "[2, 6, 14, 2]", kPaper, kConvAttention},
    Architecture{"coatnet_4", kPaper192, "[2, 12, 28, 2]", kPaper, kConvAttention},
    Architecture{"coatnet_5", kPaper256, "[2, 12, 28, 2]", kPaper, kConvAttention},
    // timm's own MaxViTs
    Architecture{"maxvit_pico_rw", kPico, "[2, 2, 5, 2]", kMaxRw, kAllM, "", "256"},
    Architecture{"maxvit_nano_rw", kNano, "[1, 2, 3, 1]", kMaxRw, kAllM, "", "256"},
    Architecture{"maxvit_tiny_rw", kNano, "[2, 2, 5, 2]", kMaxRw, kAllM, "", "224 256"},
    Architecture{"maxvit_tiny_pm", kNano, "[2, 2, 5, 2]", kMaxRw, kAllPm, "", "256"},
    Architecture{"maxvit_rmlp_pico_rw", kPico, "[2, 2, 5, 2]", kMaxRw, kAllM, kMlp, "256"},
    Architecture{"maxvit_rmlp_nano_rw", kNano, "[1, 2, 3, 1]", kMaxRw, kAllM, kMlp, "256"},
    Architecture{"maxvit_rmlp_tiny_rw", kNano, "[2, 2, 5, 2]", kMaxRw, kAllM, kMlp, "256"},
    Architecture{"maxvit_rmlp_small_rw", kSmall, "[2, 2, 5, 2]", kMaxRw, kAllM, kMlpScaled, "224 256"},
    Architecture{"maxvit_rmlp_base_rw", kSmall, "[2, 6, 14, 2]", kMaxRw, kAllM, kMlpHidden, "224 384"},
    // with ConvNeXt blocks
    Architecture{"maxxvit_rmlp_nano_rw", kNano, "[1, 2, 3, 1]", kNext, kAllM, "", "256"},
    Architecture{"maxxvit_rmlp_tiny_rw", kNano, "[2, 2, 5, 2]", kNext, kAllM, "", "256"},
    Architecture{"maxxvit_rmlp_small_rw", kSmallWideStem, "[2, 2, 5, 2]", kNext, kAllM, "", "256"},
    Architecture{"maxxvitv2_nano_rw", kSmallWideStem, "[1, 2, 3, 1]", kNext, kNoBlock, kTable, "256"},
    Architecture{"maxxvitv2_rmlp_base_rw", kBase, "[2, 6, 12, 2]", kNext, kNoBlock, "", "224 384"},
    Architecture{"maxxvitv2_rmlp_large_rw", kLarge, "[2, 6, 16, 2]", kNext, kNoBlock, kHidden1280},
    // Tu et al. 2022, weights ported from TensorFlow
    Architecture{"maxvit_tiny_tf", kPaper64, "[2, 2, 5, 2]", kTf, kAllM, "", kTfSizes},
    Architecture{"maxvit_small_tf", kPaper96, "[2, 2, 5, 2]", kTf, kAllM, "", kTfSizes},
    Architecture{"maxvit_base_tf", kPaper96, "[2, 6, 14, 2]", kTf, kAllM, "", kTfSizes},
    Architecture{"maxvit_large_tf", kPaper128, "[2, 6, 14, 2]", kTf, kAllM, "", kTfSizes},
    Architecture{"maxvit_xlarge_tf", kPaper192, "[2, 6, 14, 2]", kTf, kAllM, "", kTfSizes},
};

std::string json_of(const Architecture& architecture, const std::string& size) {
  std::string json = str("{\"img_size\": ", size, ", \"depths\": ", architecture.depths);
  for (const char* part : {architecture.widths, architecture.family, architecture.blocks, architecture.more})
    if (*part) json += str(", ", part);
  return json + "}";
}

std::map<std::string, std::string> make_table() {
  std::map<std::string, std::string> table;
  for (const Architecture& architecture : kArchitectures) {
    std::istringstream sizes(architecture.sizes);
    for (std::string size; sizes >> size;)
      table.emplace(str(architecture.name, "_", size), json_of(architecture, size));
  }
  return table;
}

}  // namespace

const std::map<std::string, std::string>& timm_maxxvit_architectures() {
  static const std::map<std::string, std::string> table = make_table();
  return table;
}

}  // namespace vit
