// Checkpoints of Hugging Face's deformable detectors as they are found: heads once or in every copy, backbones of timm
// and of transformers.
#include "detection/checkpoint_names.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "detection/checkpoint_backbone.h"
#include "detection/deformable_detr.h"
#include "detection/rt_detr.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "tests/support/temp_dir.h"
#include "vit/io/checkpoint.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"
#include "vit/models/resnet.h"

namespace detection {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using vit::Tensor;

fs::path golden(const std::string& name) { return fs::path(VITKIT_SOURCE_DIR) / "tests/goldens" / name; }

/// The tensors of a file by their names, as somebody else would store them.
std::map<std::string, Tensor> tensors_of(const fs::path& path) {
  const vit::Weights weights = vit::Weights::open(path);
  std::map<std::string, Tensor> tensors;
  for (const std::string& name : weights.names()) tensors.emplace(name, weights.get(name).clone());
  return tensors;
}

/// Logits of a checkpoint folder on the golden's images.
Tensor logits_of(const fs::path& dir, const Tensor& images) {
  const auto model = vit::load_model(vit::Checkpoint::open(dir.string()));
  vit::Context ctx;
  return model->forward(ctx, images).value().clone();
}

class HeadCopiesTest : public testing::TestWithParam<const char*> {};

TEST_P(HeadCopiesTest, AFileMayHoldTheHeadsUnderAnyOfTheirNames) {
  const fs::path source = golden(GetParam());
  std::map<std::string, Tensor> tensors = tensors_of(source / "model.safetensors");
  const Tensor images = vit::test::random_tensor({1, 3, 160, 128}, 1, 0.5f);
  const Tensor expected = logits_of(source, images);
  std::map<std::string, Tensor> top, nested, both;
  for (const auto& [name, tensor] : tensors) {
    const size_t at = name.starts_with("model.decoder.") ? 14 : 0;
    const std::string rest = name.substr(at);
    const bool head = rest.starts_with("class_embed.") || rest.starts_with("bbox_embed.");
    for (auto* kept : {&top, &both}) kept->emplace(head ? rest : name, tensor);
    for (auto* kept : {&nested, &both}) kept->emplace(head ? "model.decoder." + rest : name, tensor);
  }
  for (const auto& kept : {top, nested, both}) {
    vit::test::TempDir dir;
    fs::copy_file(source / "config.json", dir.path() / "config.json");
    std::vector<vit::SafetensorsEntry> stored;
    for (const auto& [name, tensor] : kept) stored.push_back({name, tensor});
    vit::write_safetensors(dir.path() / "model.safetensors", stored);
    EXPECT_TRUE(vit::test::same_bits(logits_of(dir.path(), images), expected));
  }
}

INSTANTIATE_TEST_SUITE_P(All, HeadCopiesTest, testing::Values("B6_rtdetr", "B6c_deformable_detr_refine_twostage"));

TEST(CheckpointNamesTest, QueriesKeysAndValuesAreStacked) {
  const vit::KeyRule rule = stacked_projections("decoder.layers.2.self_attn.in_proj_bias", "model.");
  EXPECT_EQ(rule.theirs, (std::vector<std::string>{"model.decoder.layers.2.self_attn.q_proj.bias",
                                                   "model.decoder.layers.2.self_attn.k_proj.bias",
                                                   "model.decoder.layers.2.self_attn.v_proj.bias"}));
  EXPECT_EQ(stacked_projections("level_embed", "model.").theirs, std::vector<std::string>{"model.level_embed"});
}

CheckpointBackbone read(const std::string& text,
                        const CheckpointBackboneOptions& options = {.prefix = "p.", .out_indices = {2, 3, 4}}) {
  const nlohmann::json json = nlohmann::json::parse(text);
  return read_checkpoint_backbone(vit::JsonObject(json, "config.json"), nullptr, options);
}

std::string theirs_of(const CheckpointBackbone& backbone, const std::string& ours) {
  for (const vit::KeyRule& rule : backbone.rules)
    if (rule.ours == ours) return rule.theirs.front();
  return "none";
}

TEST(CheckpointBackboneTest, TimmsNamesAndMaps) {
  const CheckpointBackbone found =
      read(R"({"backbone": "resnet50", "use_timm_backbone": true, "backbone_kwargs": {"out_indices": [1, 4]}})",
           {.prefix = "p.", .out_indices = {2, 3, 4}, .dilation = true});
  EXPECT_EQ(found.maps, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(found.backbone->features()[3].reduction, 16);
  EXPECT_EQ(theirs_of(found, "backbone.layer1.{i}.conv1.weight"), "p.layer1.{i}.conv1.weight");
  EXPECT_EQ(read(R"({"backbone": "resnet18"})").maps, (std::vector<int64_t>{1, 2, 3}));
}

TEST(CheckpointBackboneTest, RtDetrsBasicBlocksProjectFirst) {
  const CheckpointBackbone found = read(
      R"({"backbone_config": {"model_type": "rt_detr_resnet", "layer_type": "basic", "depths": [2, 2, 2, 2],
          "hidden_sizes": [64, 64, 128, 256], "out_features": ["stage2", "stage4"]}})");
  EXPECT_EQ(found.maps, (std::vector<int64_t>{1, 3}));
  // The first stage does not stride; the second keeps its width, and so has no mean in its shortcut either.
  EXPECT_EQ(theirs_of(found, "backbone.layer1.{i}.downsample.0.weight"),
            "p.encoder.stages.0.layers.{i}.shortcut.convolution.weight");
  EXPECT_EQ(theirs_of(found, "backbone.layer2.{i}.downsample.0.weight"),
            "p.encoder.stages.1.layers.{i}.shortcut.convolution.weight");
  EXPECT_EQ(theirs_of(found, "backbone.layer3.{i}.downsample.1.weight"),
            "p.encoder.stages.2.layers.{i}.shortcut.1.convolution.weight");
  EXPECT_EQ(theirs_of(found, "backbone.conv1.3.weight"), "p.embedder.embedder.1.convolution.weight");
  std::map<std::string, vit::Shape> shapes;
  found.backbone->visit_parameters([&](const std::string& name, vit::Parameter& p) { shapes[name] = p.shape; });
  EXPECT_EQ(shapes["layer1.0.downsample.0.weight"], vit::Shape({64, 64, 1, 1}));
  EXPECT_FALSE(shapes.count("layer1.1.downsample.0.weight"));
  EXPECT_EQ(shapes["layer3.0.downsample.1.weight"], vit::Shape({128, 64, 1, 1}));
}

TEST(CheckpointBackboneTest, OthersAreRefusedByTheirKeys) {
  EXPECT_THAT(vit::test::usage_error([] { read(R"({"backbone_config": {"model_type": "swin"}})"); }),
              HasSubstr("backbone_config.model_type"));
  EXPECT_THAT(vit::test::usage_error([] { read(R"({"backbone_config": {"out_indices": [0, 1]}})"); }),
              HasSubstr("out_indices"));
  EXPECT_THAT(vit::test::usage_error([] { read(R"({"backbone_config": {"out_features": ["stem"]}})"); }),
              HasSubstr("out_features"));
  EXPECT_THAT(vit::test::usage_error([] { read(R"({"backbone": "vit_tiny_patch16_224"})"); }), HasSubstr("backbone"));
  EXPECT_THAT(vit::test::usage_error([] {
                read(R"({"backbone_config": {"model_type": "rt_detr_resnet", "layer_type": "basic",
                         "hidden_sizes": [32, 64, 96, 128]}})");
              }),
              HasSubstr("hidden_sizes"));
}

}  // namespace
}  // namespace detection
