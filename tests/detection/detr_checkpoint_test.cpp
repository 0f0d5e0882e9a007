// DETR from checkpoints of facebookresearch/detr and Hugging Face, in the options that their reference cases leave out:
// a model of ours is written under their names, and must come back as it was.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detection/detr.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "tests/support/temp_dir.h"
#include "vit/io/checkpoint.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace detection {
namespace {

using testing::HasSubstr;
using vit::Tensor;

DetrConfig small(bool dilation) {
  DetrConfig config;
  config.num_classes = 3;
  config.backbone = vit::ConfigNode::parse(
      vit::str("{type: resnet, block: basic, layers: [1, 1, 1, 1], channels: [4, 6, 8, 8], stem_channels: 8, ",
               "frozen_norm: true, output_stride: ", dilation ? 16 : 32, "}"),
      "test");
  config.num_queries = 5;
  config.d_model = 16;
  config.encoder_layers = 1;
  config.decoder_layers = 2;
  config.encoder_attention_heads = config.decoder_attention_heads = 4;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 12;
  return config;
}

/// The first of the pairs whose left side is in the name is replaced by its right side.
std::string renamed(std::string name, const std::vector<std::pair<std::string, std::string>>& table) {
  for (const auto& [from, to] : table)
    if (const size_t at = name.find(from); at != std::string::npos) return name.replace(at, from.size(), to);
  return name;
}

std::string facebook_name(const std::string& name) {
  if (name.starts_with("backbone.")) return "backbone.0.body." + name.substr(9);
  if (name.starts_with("position_embedding.row")) return "backbone.1.row_embed.weight";
  if (name.starts_with("position_embedding.col")) return "backbone.1.col_embed.weight";
  if (name.starts_with("encoder."))
    return "transformer." + renamed(name, {{"self_attn_layer_norm", "norm1"},
                                           {"final_layer_norm", "norm2"},
                                           {"fc1", "linear1"},
                                           {"fc2", "linear2"},
                                           {"layernorm", "norm"}});
  if (name.starts_with("decoder."))
    return "transformer." + renamed(name, {{"self_attn_layer_norm", "norm1"},
                                           {"encoder_attn_layer_norm", "norm2"},
                                           {"final_layer_norm", "norm3"},
                                           {"encoder_attn", "multihead_attn"},
                                           {"fc1", "linear1"},
                                           {"fc2", "linear2"},
                                           {"layernorm", "norm"}});
  return renamed(name, {{"input_projection", "input_proj"},
                        {"query_position_embeddings", "query_embed"},
                        {"class_labels_classifier", "class_embed"},
                        {"bbox_predictor", "bbox_embed"}});
}

/// A model with values, and its folder under another library's names.
struct Written {
  vit::test::TempDir dir;
  std::unique_ptr<Detr> model;

  Written(const DetrConfig& config, const nlohmann::json& json, bool facebook)
      : model(std::make_unique<Detr>(config, "own")) {
    vit::test::fill_leaves(*model);
    std::vector<vit::SafetensorsEntry> entries;
    model->visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
      const Tensor value = parameter.value.value();
      const size_t packed = name.find("in_proj_");
      if (facebook) {
        entries.push_back({facebook_name(name), value});
      } else if (name.starts_with("backbone.")) {
        entries.push_back({"model.backbone.conv_encoder.model." + name.substr(9), value});
      } else if (name.starts_with("position_embedding.")) {
        entries.push_back({"model.backbone." + name, value});
      } else if (packed != std::string::npos) {
        const char* parts[] = {"q_proj.", "k_proj.", "v_proj."};
        for (int64_t i = 0; i < 3; ++i)
          entries.push_back({"model." + name.substr(0, packed) + parts[i] + name.substr(packed + 8),
                             value.slice(i * 16, (i + 1) * 16).clone()});
      } else {
        const bool head = name.starts_with("class_labels") || name.starts_with("bbox_");
        entries.push_back({head ? name : "model." + name, value});
      }
    });
    vit::write_safetensors(dir / "model.safetensors", entries);
    dir.write("config.json", json.dump());
  }

  std::unique_ptr<vit::ImageModel> load() const { return vit::load_model(vit::Checkpoint::open(dir.path().string())); }

  /// What was read answers as what was written does.
  void expect_same_answers() const {
    const auto again = load();
    const Tensor pixels = vit::test::random_tensor({1, 3, 64, 96}, 1);
    vit::Context ctx;
    const auto run = [&](const vit::ImageModel& m) {
      return dynamic_cast<const DetectionModel&>(m).detect(ctx, {.images = pixels}).levels.back();
    };
    const DetectionLevel ours = run(*model), theirs = run(*again);
    vit::test::expect_close(ours.logits.value(), theirs.logits.value(), 4000);
    vit::test::expect_close(ours.boxes.value(), theirs.boxes.value(), 4000);
  }
};

struct Variant {
  std::string name;
  bool pre_norm = false, learned = false, dilation = false;
};

class DetrCheckpointTest : public testing::TestWithParam<Variant> {
 protected:
  DetrConfig config() const {
    DetrConfig config = small(GetParam().dilation);
    config.pre_norm = GetParam().pre_norm;
    if (GetParam().learned) config.position_embedding_type = PositionEmbedding::learned;
    return config;
  }
};

TEST_P(DetrCheckpointTest, FacebookNamesWithWhatTensorsDoNotTell) {
  nlohmann::json json{{"architecture", "facebook_detr"}, {"backbone", "resnet18"}, {"nheads", 4}};
  if (GetParam().dilation) json["dilation"] = true;
  Written(config(), json, /*facebook=*/true).expect_same_answers();
}

/// transformers has no pre_norm.
class HuggingFaceDetrTest : public DetrCheckpointTest {};

TEST_P(HuggingFaceDetrTest, NamesOfATimmBackbone) {
  const nlohmann::json json{{"model_type", "detr"},
                            {"use_timm_backbone", true},
                            {"backbone", "resnet18"},
                            {"backbone_kwargs", nullptr},
                            {"dilation", GetParam().dilation},
                            {"position_embedding_type", GetParam().learned ? "learned" : "sine"},
                            {"num_queries", 5},
                            {"d_model", 16},
                            {"encoder_layers", 1},
                            {"decoder_layers", 2},
                            {"encoder_attention_heads", 4},
                            {"decoder_attention_heads", 4},
                            {"encoder_ffn_dim", 12},
                            {"decoder_ffn_dim", 12},
                            {"id2label", {{"0", "a"}, {"1", "b"}, {"2", "c"}}}};
  Written(config(), json, /*facebook=*/false).expect_same_answers();
}

const Variant kPlain{"plain"}, kPreNorm{.name = "pre_norm", .pre_norm = true},
    kLearned{.name = "learned_positions", .learned = true}, kDc5{.name = "dc5", .dilation = true};

INSTANTIATE_TEST_SUITE_P(Variants, DetrCheckpointTest, testing::Values(kPlain, kPreNorm, kLearned, kDc5),
                         [](const auto& entry) { return entry.param.name; });
INSTANTIATE_TEST_SUITE_P(Variants, HuggingFaceDetrTest, testing::Values(kPlain, kLearned, kDc5),
                         [](const auto& entry) { return entry.param.name; });

TEST(DetrCheckpoint, FacebookDimensionsComeFromTheTensors) {
  const Written written(small(false), {{"architecture", "facebook_detr"}, {"backbone", "resnet18"}, {"nheads", 4}},
                        true);
  const auto model = written.load();
  EXPECT_EQ(model->info().num_classes, 3);
  EXPECT_EQ(dynamic_cast<const Detr&>(*model).config().decoder_layers, 2);
}

TEST(DetrCheckpoint, RefusesWhatIsNoDetr) {
  const Written written(small(false), {{"architecture", "facebook_detr"}, {"backbone", "vit_tiny_patch16_224"}}, true);
  EXPECT_THAT(vit::test::usage_error([&] { written.load(); }), HasSubstr("ResNet"));
  vit::write_safetensors(written.dir / "model.safetensors",
                         {{"backbone.0.body.layer1.0.conv1.weight", Tensor::zeros({1})}});
  written.dir.write("config.json", R"({"architecture": "facebook_detr", "backbone": "resnet18"})");
  EXPECT_THAT(vit::test::usage_error([&] { written.load(); }), HasSubstr("model.safetensors"));
}

}  // namespace
}  // namespace detection
