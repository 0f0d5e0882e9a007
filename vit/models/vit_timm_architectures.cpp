#include "vit/models/vit_timm_architectures.h"

#include <array>

#include "vit/core/check.h"

namespace vit {

namespace {

/// The default of timm's constructor, and of most default_cfgs.
constexpr int kDefaultImage = 224;

// Widths, by the names that the literature gives them ("so": shape-optimised, Alabdulmohsin et al. 2023). Ratios that
// timm writes as fractions are decimals here, long enough to give the same double: the hidden width is truncated to an
// integer.
constexpr const char* kWee = R"("embed_dim": 256, "depth": 14, "num_heads": 4, "mlp_ratio": 5)";
constexpr const char* kXSmall = R"("embed_dim": 256, "depth": 10, "num_heads": 4)";
constexpr const char* kLittle = R"("embed_dim": 320, "depth": 14, "num_heads": 5, "mlp_ratio": 5.6)";
constexpr const char* kTiny = R"("embed_dim": 192, "depth": 12, "num_heads": 3)";
constexpr const char* kSmall = R"("embed_dim": 384, "depth": 12, "num_heads": 6)";
constexpr const char* kSmall36 = R"("embed_dim": 384, "depth": 36, "num_heads": 6)";
constexpr const char* kMedium = R"("embed_dim": 512, "depth": 12, "num_heads": 8)";
constexpr const char* kMediumDeep = R"("embed_dim": 512, "depth": 20, "num_heads": 8)";
constexpr const char* kBetwixt = R"("embed_dim": 640, "depth": 12, "num_heads": 10)";
constexpr const char* kBase = R"("embed_dim": 768, "depth": 12, "num_heads": 12)";
constexpr const char* kBase16Heads = R"("embed_dim": 768, "depth": 12, "num_heads": 16)";
constexpr const char* kBasePlus = R"("embed_dim": 896, "depth": 12, "num_heads": 14)";
constexpr const char* kSo150m = R"("embed_dim": 896, "depth": 18, "num_heads": 14, "mlp_ratio": 2.572)";
constexpr const char* kSo150m2 = R"("embed_dim": 832, "depth": 21, "num_heads": 13, "mlp_ratio": 2.6153846153846154)";
constexpr const char* kLarge = R"("embed_dim": 1024, "depth": 24, "num_heads": 16)";
constexpr const char* kSo400m = R"("embed_dim": 1152, "depth": 27, "num_heads": 16, "mlp_ratio": 3.7362)";
constexpr const char* kSo400mTips =
    R"("embed_dim": 1152, "depth": 27, "num_heads": 16, "mlp_ratio": 3.736111111111111)";
constexpr const char* kHuge = R"("embed_dim": 1280, "depth": 32, "num_heads": 16)";
constexpr const char* kGiant = R"("embed_dim": 1408, "depth": 40, "num_heads": 16, "mlp_ratio": 4.363636363636363)";
constexpr const char* kGiantBeit = R"("embed_dim": 1408, "depth": 40, "num_heads": 16, "mlp_ratio": 4.3637)";
constexpr const char* kGiantOpt = R"("embed_dim": 1536, "depth": 40, "num_heads": 16)";
// DINOv2's giant: SwiGLU of 4096, which the packed layer counts twice.
constexpr const char* kGiantSwiGlu = R"("embed_dim": 1536, "depth": 40, "num_heads": 24, "mlp_ratio": 5.33334,
    "mlp_layer": "swiglu_packed", "act_layer": "silu")";
constexpr const char* kGigantic = R"("embed_dim": 1664, "depth": 48, "num_heads": 16, "mlp_ratio": 4.923076923076923)";

// What families share beyond the width.
constexpr const char* kPlain = "";
constexpr const char* kNoQkvBias = R"("qkv_bias": false)";
constexpr const char* kScaled = R"("init_values": 1e-5)";  // layer scale: DINOv2, the "plus" and the 36-block models
constexpr const char* kFlexi = R"("no_embed_class": true)";
constexpr const char* kDistilled = R"("distilled": true)";
constexpr const char* kDeit3 = R"("no_embed_class": true, "init_values": 1e-6)";
constexpr const char* kClip = R"("pre_norm": true, "norm_eps": 1e-5)";
constexpr const char* kClipQuickGelu = R"("pre_norm": true, "norm_eps": 1e-5, "act_layer": "quick_gelu")";
// Average pooling without a class token: the final norm comes before the pooling ...
constexpr const char* kGap = R"("class_token": false, "global_pool": "avg", "fc_norm": false)";
constexpr const char* kGapTanh =
    R"("class_token": false, "global_pool": "avg", "fc_norm": false, "act_layer": "gelu_tanh")";
constexpr const char* kGapScaled = R"("class_token": false, "global_pool": "avg", "fc_norm": false, "qkv_bias": false,
    "init_values": 1e-6)";
// Attention pooling (Zhai et al. 2022, the "map" head).
constexpr const char* kMap = R"("class_token": false, "global_pool": "map")";
constexpr const char* kMapTanh = R"("class_token": false, "global_pool": "map", "act_layer": "gelu_tanh")";
constexpr const char* kReg4Map = R"("class_token": false, "global_pool": "map", "reg_tokens": 4)";
constexpr const char* kReg4Gap = R"("class_token": false, "global_pool": "avg", "fc_norm": false, "reg_tokens": 4)";
// ... or after it (timm's default with average pooling), with registers: the "searching for better baselines" models.
constexpr const char* kReg1Sbb = R"("class_token": false, "global_pool": "avg", "reg_tokens": 1, "no_embed_class": true,
    "init_values": 1e-5)";
constexpr const char* kReg4Sbb = R"("class_token": false, "global_pool": "avg", "reg_tokens": 4, "no_embed_class": true,
    "init_values": 1e-5)";
constexpr const char* kReg4SbbUnscaled = R"("class_token": false, "global_pool": "avg", "reg_tokens": 4,
    "no_embed_class": true)";
constexpr const char* kReg1So150m2 = R"("class_token": false, "global_pool": "avg", "reg_tokens": 1, "qkv_bias": false,
    "init_values": 1e-5)";
constexpr const char* kReg4Dino = R"("reg_tokens": 4, "no_embed_class": true, "init_values": 1e-5)";
constexpr const char* kReg1Tips = R"("reg_tokens": 1, "no_embed_class": true, "init_values": 1.0)";
constexpr const char* kEva = R"("global_pool": "avg")";
constexpr const char* kIntern = R"("init_values": 0.1, "final_norm": false, "dynamic_img_size": true)";
// BEiT-3's vision tower: norms inside attention and MLP, before their second projections (Magneto).
constexpr const char* kBeit3 =
    R"("scale_attn_norm": true, "scale_mlp_norm": true, "global_pool": "avg", "norm_eps": 1e-5)";

struct Architecture {
  const char* name;
  const char* width;
  int patch;
  int image;
  const char* family;
};

constexpr std::array kArchitectures = {
    // Dosovitskiy et al. 2021 and Steiner et al. 2021 ("How to train your ViT"); DINO, MAE and SAM weights use them too
    Architecture{"vit_tiny_patch16_224", kTiny, 16, 224, kPlain},
    Architecture{"vit_tiny_patch16_384", kTiny, 16, 384, kPlain},
    Architecture{"vit_small_patch32_224", kSmall, 32, 224, kPlain},
    Architecture{"vit_small_patch32_384", kSmall, 32, 384, kPlain},
    Architecture{"vit_small_patch16_224", kSmall, 16, 224, kPlain},
    Architecture{"vit_small_patch16_384", kSmall, 16, 384, kPlain},
    Architecture{"vit_small_patch8_224", kSmall, 8, 224, kPlain},
    Architecture{"vit_base_patch32_224", kBase, 32, 224, kPlain},
    Architecture{"vit_base_patch32_384", kBase, 32, 384, kPlain},
    Architecture{"vit_base_patch16_224", kBase, 16, 224, kPlain},
    Architecture{"vit_base_patch16_384", kBase, 16, 384, kPlain},
    Architecture{"vit_base_patch8_224", kBase, 8, 224, kPlain},
    Architecture{"vit_large_patch32_224", kLarge, 32, 224, kPlain},
    Architecture{"vit_large_patch32_384", kLarge, 32, 384, kPlain},
    Architecture{"vit_large_patch16_224", kLarge, 16, 224, kPlain},
    Architecture{"vit_large_patch16_384", kLarge, 16, 384, kPlain},
    Architecture{"vit_large_patch14_224", kLarge, 14, 224, kPlain},
    Architecture{"vit_huge_patch14_224", kHuge, 14, 224, kPlain},
    Architecture{"vit_giant_patch14_224", kGiant, 14, 224, kPlain},
    Architecture{"vit_gigantic_patch14_224", kGigantic, 14, 224, kPlain},
    Architecture{"vit_base_patch16_224_miil", kBase, 16, 224, kNoQkvBias},
    Architecture{"vit_base_patch32_plus_256", kBasePlus, 32, 256, kScaled},
    Architecture{"vit_base_patch16_plus_240", kBasePlus, 16, 240, kScaled},
    Architecture{"vit_small_patch16_36x1_224", kSmall36, 16, 224, kScaled},
    // DeiT (Touvron et al. 2021) and DeiT III (Touvron et al. 2022)
    Architecture{"deit_tiny_patch16_224", kTiny, 16, 224, kPlain},
    Architecture{"deit_small_patch16_224", kSmall, 16, 224, kPlain},
    Architecture{"deit_base_patch16_224", kBase, 16, 224, kPlain},
    Architecture{"deit_base_patch16_384", kBase, 16, 384, kPlain},
    Architecture{"deit_tiny_distilled_patch16_224", kTiny, 16, 224, kDistilled},
    Architecture{"deit_small_distilled_patch16_224", kSmall, 16, 224, kDistilled},
    Architecture{"deit_base_distilled_patch16_224", kBase, 16, 224, kDistilled},
    Architecture{"deit_base_distilled_patch16_384", kBase, 16, 384, kDistilled},
    Architecture{"deit3_small_patch16_224", kSmall, 16, 224, kDeit3},
    Architecture{"deit3_small_patch16_384", kSmall, 16, 384, kDeit3},
    Architecture{"deit3_medium_patch16_224", kMedium, 16, 224, kDeit3},
    Architecture{"deit3_base_patch16_224", kBase, 16, 224, kDeit3},
    Architecture{"deit3_base_patch16_384", kBase, 16, 384, kDeit3},
    Architecture{"deit3_large_patch16_224", kLarge, 16, 224, kDeit3},
    Architecture{"deit3_large_patch16_384", kLarge, 16, 384, kDeit3},
    Architecture{"deit3_huge_patch14_224", kHuge, 14, 224, kDeit3},
    // DINOv2 (Oquab et al. 2023), with registers (Darcet et al. 2023), and TIPSv2
    Architecture{"vit_small_patch14_dinov2", kSmall, 14, 518, kScaled},
    Architecture{"vit_base_patch14_dinov2", kBase, 14, 518, kScaled},
    Architecture{"vit_large_patch14_dinov2", kLarge, 14, 518, kScaled},
    Architecture{"vit_giant_patch14_dinov2", kGiantSwiGlu, 14, 518, kScaled},
    Architecture{"vit_small_patch14_reg4_dinov2", kSmall, 14, 518, kReg4Dino},
    Architecture{"vit_base_patch14_reg4_dinov2", kBase, 14, 518, kReg4Dino},
    Architecture{"vit_large_patch14_reg4_dinov2", kLarge, 14, 518, kReg4Dino},
    Architecture{"vit_giant_patch14_reg4_dinov2", kGiantSwiGlu, 14, 518, kReg4Dino},
    Architecture{"vit_base_patch14_reg1_tipsv2", kBase, 14, 448, kReg1Tips},
    Architecture{"vit_large_patch14_reg1_tipsv2", kLarge, 14, 448, kReg1Tips},
    Architecture{"vit_so400m_patch14_reg1_tipsv2", kSo400mTips, 14, 448, kReg1Tips},
    Architecture{"vit_giant_patch14_reg1_tipsv2", kGiantSwiGlu, 14, 448, kReg1Tips},
    // Image towers of CLIP (Radford et al. 2021), OpenCLIP, DFN, MetaCLIP; the small ones of TinyCLIP
    Architecture{"vit_xsmall_patch16_clip_224", kXSmall, 16, 224, kClip},
    Architecture{"vit_medium_patch32_clip_224", kMedium, 32, 224, kClip},
    Architecture{"vit_medium_patch16_clip_224", kMedium, 16, 224, kClip},
    Architecture{"vit_betwixt_patch32_clip_224", kBetwixt, 32, 224, kClip},
    Architecture{"vit_base_patch32_clip_224", kBase, 32, 224, kClip},
    Architecture{"vit_base_patch32_clip_256", kBase, 32, 256, kClip},
    Architecture{"vit_base_patch32_clip_384", kBase, 32, 384, kClip},
    Architecture{"vit_base_patch32_clip_448", kBase, 32, 448, kClip},
    Architecture{"vit_base_patch16_clip_224", kBase, 16, 224, kClip},
    Architecture{"vit_base_patch16_clip_384", kBase, 16, 384, kClip},
    Architecture{"vit_base_patch16_plus_clip_240", kBasePlus, 16, 240, kClip},
    Architecture{"vit_large_patch14_clip_224", kLarge, 14, 224, kClip},
    Architecture{"vit_large_patch14_clip_336", kLarge, 14, 336, kClip},
    Architecture{"vit_huge_patch14_clip_224", kHuge, 14, 224, kClip},
    Architecture{"vit_huge_patch14_clip_336", kHuge, 14, 336, kClip},
    Architecture{"vit_huge_patch14_clip_378", kHuge, 14, 378, kClip},
    Architecture{"vit_giant_patch14_clip_224", kGiant, 14, 224, kClip},
    Architecture{"vit_gigantic_patch14_clip_224", kGigantic, 14, 224, kClip},
    Architecture{"vit_gigantic_patch14_clip_378", kGigantic, 14, 378, kClip},
    Architecture{"vit_base_patch32_clip_quickgelu_224", kBase, 32, 224, kClipQuickGelu},
    Architecture{"vit_base_patch16_clip_quickgelu_224", kBase, 16, 224, kClipQuickGelu},
    Architecture{"vit_large_patch14_clip_quickgelu_224", kLarge, 14, 224, kClipQuickGelu},
    Architecture{"vit_large_patch14_clip_quickgelu_336", kLarge, 14, 336, kClipQuickGelu},
    Architecture{"vit_huge_patch14_clip_quickgelu_224", kHuge, 14, 224, kClipQuickGelu},
    Architecture{"vit_huge_patch14_clip_quickgelu_378", kHuge, 14, 378, kClipQuickGelu},
    Architecture{"vit_gigantic_patch14_clip_quickgelu_224", kGigantic, 14, 224, kClipQuickGelu},
    // No class token, average pooling; I-JEPA's encoders are the large ones
    Architecture{"vit_medium_patch16_gap_240", kMedium, 16, 240, kGapScaled},
    Architecture{"vit_medium_patch16_gap_256", kMedium, 16, 256, kGapScaled},
    Architecture{"vit_medium_patch16_gap_384", kMedium, 16, 384, kGapScaled},
    Architecture{"vit_betwixt_patch16_gap_256", kBetwixt, 16, 256, kGapScaled},
    Architecture{"vit_base_patch16_gap_224", kBase16Heads, 16, 224, kGap},
    Architecture{"vit_huge_patch14_gap_224", kHuge, 14, 224, kGap},
    Architecture{"vit_huge_patch16_gap_448", kHuge, 16, 448, kGap},
    Architecture{"vit_giant_patch16_gap_224", kGiant, 16, 224, kGap},
    // SigLIP (Zhai et al. 2023) and SigLIP 2 (Tschannen et al. 2025) towers
    Architecture{"vit_base_patch32_siglip_256", kBase, 32, 256, kMapTanh},
    Architecture{"vit_base_patch16_siglip_224", kBase, 16, 224, kMap},
    Architecture{"vit_base_patch16_siglip_256", kBase, 16, 256, kMap},
    Architecture{"vit_base_patch16_siglip_384", kBase, 16, 384, kMap},
    Architecture{"vit_base_patch16_siglip_512", kBase, 16, 512, kMap},
    Architecture{"vit_large_patch16_siglip_256", kLarge, 16, 256, kMap},
    Architecture{"vit_large_patch16_siglip_384", kLarge, 16, 384, kMap},
    Architecture{"vit_large_patch16_siglip_512", kLarge, 16, 512, kMapTanh},
    Architecture{"vit_so400m_patch14_siglip_224", kSo400m, 14, 224, kMap},
    Architecture{"vit_so400m_patch14_siglip_378", kSo400m, 14, 378, kMap},
    Architecture{"vit_so400m_patch14_siglip_384", kSo400m, 14, 384, kMap},
    Architecture{"vit_so400m_patch16_siglip_256", kSo400m, 16, 256, kMapTanh},
    Architecture{"vit_so400m_patch16_siglip_384", kSo400m, 16, 384, kMapTanh},
    Architecture{"vit_so400m_patch16_siglip_512", kSo400m, 16, 512, kMapTanh},
    Architecture{"vit_giantopt_patch16_siglip_256", kGiantOpt, 16, 256, kMapTanh},
    Architecture{"vit_giantopt_patch16_siglip_384", kGiantOpt, 16, 384, kMapTanh},
    // ... and without their attention pooling
    Architecture{"vit_base_patch32_siglip_gap_256", kBase, 32, 256, kGapTanh},
    Architecture{"vit_base_patch16_siglip_gap_224", kBase, 16, 224, kGap},
    Architecture{"vit_base_patch16_siglip_gap_256", kBase, 16, 256, kGap},
    Architecture{"vit_base_patch16_siglip_gap_384", kBase, 16, 384, kGap},
    Architecture{"vit_base_patch16_siglip_gap_512", kBase, 16, 512, kGap},
    Architecture{"vit_large_patch16_siglip_gap_256", kLarge, 16, 256, kGap},
    Architecture{"vit_large_patch16_siglip_gap_384", kLarge, 16, 384, kGap},
    Architecture{"vit_large_patch16_siglip_gap_512", kLarge, 16, 512, kGapTanh},
    Architecture{"vit_so400m_patch14_siglip_gap_224", kSo400m, 14, 224, kGap},
    Architecture{"vit_so400m_patch14_siglip_gap_378", kSo400m, 14, 378, kGap},
    Architecture{"vit_so400m_patch14_siglip_gap_384", kSo400m, 14, 384, kGap},
    Architecture{"vit_so400m_patch14_siglip_gap_448", kSo400m, 14, 448, kGap},
    Architecture{"vit_so400m_patch14_siglip_gap_896", kSo400m, 14, 896, kGap},
    Architecture{"vit_so400m_patch16_siglip_gap_256", kSo400m, 16, 256, kGapTanh},
    Architecture{"vit_so400m_patch16_siglip_gap_384", kSo400m, 16, 384, kGapTanh},
    Architecture{"vit_so400m_patch16_siglip_gap_512", kSo400m, 16, 512, kGapTanh},
    Architecture{"vit_giantopt_patch16_siglip_gap_256", kGiantOpt, 16, 256, kGapTanh},
    Architecture{"vit_giantopt_patch16_siglip_gap_384", kGiantOpt, 16, 384, kGapTanh},
    // timm's own: registers and average pooling
    Architecture{"vit_wee_patch16_reg1_gap_256", kWee, 16, 256, kReg1Sbb},
    Architecture{"vit_little_patch16_reg1_gap_256", kLittle, 16, 256, kReg1Sbb},
    Architecture{"vit_little_patch16_reg4_gap_256", kLittle, 16, 256, kReg4Sbb},
    Architecture{"vit_medium_patch16_reg1_gap_256", kMedium, 16, 256, kReg1Sbb},
    Architecture{"vit_medium_patch16_reg4_gap_256", kMedium, 16, 256, kReg4Sbb},
    Architecture{"vit_mediumd_patch16_reg4_gap_256", kMediumDeep, 16, 256, kReg4Sbb},
    Architecture{"vit_mediumd_patch16_reg4_gap_384", kMediumDeep, 16, 384, kReg4Sbb},
    Architecture{"vit_betwixt_patch16_reg1_gap_256", kBetwixt, 16, 256, kReg1Sbb},
    Architecture{"vit_betwixt_patch16_reg4_gap_256", kBetwixt, 16, 256, kReg4Sbb},
    Architecture{"vit_betwixt_patch16_reg4_gap_384", kBetwixt, 16, 384, kReg4Sbb},
    Architecture{"vit_base_patch16_reg4_gap_256", kBase, 16, 256, kReg4SbbUnscaled},
    Architecture{"vit_so150m_patch16_reg4_map_256", kSo150m, 16, 256, kReg4Map},
    Architecture{"vit_so150m_patch16_reg4_gap_256", kSo150m, 16, 256, kReg4Gap},
    Architecture{"vit_so150m_patch16_reg4_gap_384", kSo150m, 16, 384, kReg4Gap},
    Architecture{"vit_so150m2_patch16_reg1_gap_256", kSo150m2, 16, 256, kReg1So150m2},
    Architecture{"vit_so150m2_patch16_reg1_gap_384", kSo150m2, 16, 384, kReg1So150m2},
    Architecture{"vit_so150m2_patch16_reg1_gap_448", kSo150m2, 16, 448, kReg1So150m2},
    // EVA-L (Fang et al. 2022), FlexiViT (Beyer et al. 2023), InternViT-300M, BEiT-3 (Wang et al. 2022)
    Architecture{"eva_large_patch14_196", kLarge, 14, 196, kEva},
    Architecture{"eva_large_patch14_336", kLarge, 14, 336, kEva},
    Architecture{"flexivit_small", kSmall, 16, 240, kFlexi},
    Architecture{"flexivit_base", kBase, 16, 240, kFlexi},
    Architecture{"flexivit_large", kLarge, 16, 240, kFlexi},
    Architecture{"vit_intern300m_patch14_448", kLarge, 14, 448, kIntern},
    Architecture{"beit3_base_patch16_224", kBase, 16, 224, kBeit3},
    Architecture{"beit3_large_patch16_224", kLarge, 16, 224, kBeit3},
    Architecture{"beit3_giant_patch14_224", kGiantBeit, 14, 224, kBeit3},
    Architecture{"beit3_giant_patch14_336", kGiantBeit, 14, 336, kBeit3},
    // Small models of timm's own tests
    Architecture{"test_vit", R"("embed_dim": 64, "depth": 6, "num_heads": 2, "mlp_ratio": 3)", 16, 160,
                 R"("dynamic_img_size": true)"},
    Architecture{"test_vit2", R"("embed_dim": 64, "depth": 8, "num_heads": 2, "mlp_ratio": 3)", 16, 160,
                 R"("class_token": false, "reg_tokens": 1, "global_pool": "avg", "init_values": 1e-5,
    "dynamic_img_size": true)"},
    Architecture{"test_vit4", R"("embed_dim": 96, "depth": 9, "num_heads": 3, "mlp_ratio": 3)", 16, 160,
                 R"("class_token": false, "reg_tokens": 1, "global_pool": "avg", "init_values": 1e-5,
    "norm_layer": "rmsnorm", "dynamic_img_size": true)"},
};

struct Alias {
  const char* old_name;
  const char* name;
};

/// Names of earlier versions of timm, which older checkpoints carry.
constexpr std::array kAliases = {
    Alias{"vit_tiny_patch16_224_in21k", "vit_tiny_patch16_224"},
    Alias{"vit_small_patch32_224_in21k", "vit_small_patch32_224"},
    Alias{"vit_small_patch16_224_in21k", "vit_small_patch16_224"},
    Alias{"vit_base_patch32_224_in21k", "vit_base_patch32_224"},
    Alias{"vit_base_patch16_224_in21k", "vit_base_patch16_224"},
    Alias{"vit_base_patch8_224_in21k", "vit_base_patch8_224"},
    Alias{"vit_large_patch32_224_in21k", "vit_large_patch32_224"},
    Alias{"vit_large_patch16_224_in21k", "vit_large_patch16_224"},
    Alias{"vit_huge_patch14_224_in21k", "vit_huge_patch14_224"},
    Alias{"vit_base_patch32_224_sam", "vit_base_patch32_224"},
    Alias{"vit_base_patch16_224_sam", "vit_base_patch16_224"},
    Alias{"vit_small_patch16_224_dino", "vit_small_patch16_224"},
    Alias{"vit_small_patch8_224_dino", "vit_small_patch8_224"},
    Alias{"vit_base_patch16_224_dino", "vit_base_patch16_224"},
    Alias{"vit_base_patch8_224_dino", "vit_base_patch8_224"},
    Alias{"vit_base_patch16_224_miil_in21k", "vit_base_patch16_224_miil"},
    Alias{"vit_base_patch32_224_clip_laion2b", "vit_base_patch32_clip_224"},
    Alias{"vit_large_patch14_224_clip_laion2b", "vit_large_patch14_clip_224"},
    Alias{"vit_huge_patch14_224_clip_laion2b", "vit_huge_patch14_clip_224"},
    Alias{"vit_giant_patch14_224_clip_laion2b", "vit_giant_patch14_clip_224"},
    Alias{"deit3_small_patch16_224_in21ft1k", "deit3_small_patch16_224"},
    Alias{"deit3_small_patch16_384_in21ft1k", "deit3_small_patch16_384"},
    Alias{"deit3_medium_patch16_224_in21ft1k", "deit3_medium_patch16_224"},
    Alias{"deit3_base_patch16_224_in21ft1k", "deit3_base_patch16_224"},
    Alias{"deit3_base_patch16_384_in21ft1k", "deit3_base_patch16_384"},
    Alias{"deit3_large_patch16_224_in21ft1k", "deit3_large_patch16_224"},
    Alias{"deit3_large_patch16_384_in21ft1k", "deit3_large_patch16_384"},
    Alias{"deit3_huge_patch14_224_in21ft1k", "deit3_huge_patch14_224"},
};

std::string json_of(const Architecture& architecture) {
  std::string json = str("{\"patch_size\": ", architecture.patch, ", ", architecture.width);
  if (architecture.image != kDefaultImage) json += str(", \"img_size\": ", architecture.image);
  if (*architecture.family) json += str(", ", architecture.family);
  return json + "}";
}

std::map<std::string, std::string> make_table() {
  std::map<std::string, std::string> table;
  for (const Architecture& architecture : kArchitectures) table.emplace(architecture.name, json_of(architecture));
  for (const Alias& alias : kAliases) table.emplace(alias.old_name, table.at(alias.name));
  return table;
}

}  // namespace

const std::map<std::string, std::string>& timm_vit_architectures() {
  static const std::map<std::string, std::string> table = make_table();
  return table;
}

}  // namespace vit
