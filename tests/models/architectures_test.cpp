// timm's architecture names, and the configurations in configs/model that restate some of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "vit/attention/self.h"
#include "vit/core/config.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/vit.h"
#include "vit/models/vit_timm.h"
#include "vit/models/vit_timm_architectures.h"

namespace vit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kConfigs = fs::path(VITKIT_SOURCE_DIR) / "configs" / "model";

/// Every configuration of a vision transformer in configs/model, by name.
std::map<std::string, ConfigNode> vit_files() {
  std::map<std::string, ConfigNode> files;
  for (const auto& entry : fs::directory_iterator(kConfigs)) {
    if (entry.path().extension() != ".yaml") continue;
    const TypedConfig typed = split_type(ConfigNode::load(entry.path()));
    if (typed.type == "vit") files.emplace(entry.path().stem().string(), typed.options);
  }
  return files;
}

/// Classes are a matter of the checkpoint, not of the name: they are given.
VitConfig from_timm(const std::string& name, int64_t num_classes) {
  return vit_config_from_timm({{"architecture", name}, {"num_classes", num_classes}}, name);
}

/// The whole configuration, with the attention's defaults spelled out.
ConfigNode spelled_out(const VitConfig& config) {
  const TypedConfig attention = split_type(config.attention, "self");
  EXPECT_EQ(attention.type, "self");
  SelfAttentionOptions options;
  options.norm_eps = config.norm_eps;
  read_config(attention.options, options);
  return write_config(config).with("attention", write_config(options));
}

int64_t parameters(const std::string& name, int64_t num_classes) {
  return Vit(from_timm(name, num_classes), name).parameter_count();
}

TEST(ArchitecturesTest, EveryNameIsAModel) {
  std::set<std::string> seen;
  for (const auto& [name, text] : timm_vit_architectures()) {
    SCOPED_TRACE(name);
    const json arguments = parse_json(text, name, {.unique_keys = true});
    ASSERT_TRUE(arguments.is_object());
    const VitConfig config = from_timm(name, 1000);  // validates
    EXPECT_EQ(config.embed_dim % config.num_heads, 0);
    EXPECT_EQ(config.num_classes, 1000);
    seen.insert(name);
  }
  EXPECT_GT(seen.size(), 120u);
}

// Nearly every name spells its patch and, at the end, its image: a check of the table against typing errors.
TEST(ArchitecturesTest, NamesAgreeWithPatchAndImage) {
  int checked = 0;
  for (const auto& [name, text] : timm_vit_architectures()) {
    SCOPED_TRACE(name);
    const VitConfig config = from_timm(name, 0);
    const size_t patch = name.find("_patch");
    if (patch == std::string::npos) continue;  // flexivit, test_vit
    const int64_t named_patch = std::stoi(name.substr(patch + 6));
    EXPECT_EQ(config.patch_size, (std::array<int64_t, 2>{named_patch, named_patch}));
    int64_t named_image = 0;  // the last group of three digits between underscores
    for (size_t at = patch; (at = name.find('_', at)) != std::string::npos; ++at) {
      const std::string word = name.substr(at + 1, name.find('_', at + 1) - at - 1);
      if (word.size() == 3 && word.find_first_not_of("0123456789") == std::string::npos) named_image = std::stoi(word);
    }
    if (named_image == 0) named_image = name.find("tipsv2") != std::string::npos ? 448 : 518;
    EXPECT_EQ(config.img_size, (std::array<int64_t, 2>{named_image, named_image}));
    ++checked;
  }
  EXPECT_GT(checked, 120);
}

TEST(ArchitecturesTest, FilesAgreeWithTimm) {
  int checked = 0;
  for (const auto& [name, options] : vit_files()) {
    if (!timm_vit_architectures().count(name)) continue;
    SCOPED_TRACE(name);
    const VitConfig file = read_config<VitConfig>(options);
    EXPECT_EQ(spelled_out(file).to_yaml(), spelled_out(from_timm(name, file.num_classes)).to_yaml());
    ++checked;
  }
  EXPECT_GE(checked, 18);
}

TEST(ArchitecturesTest, FilesHaveSourceAndAccuracy) {
  for (const auto& [name, options] : vit_files()) {
    SCOPED_TRACE(name);
    std::ifstream file(kConfigs / (name + ".yaml"));
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_THAT(text, ::testing::StartsWith("# "));
    EXPECT_THAT(text, ::testing::HasSubstr("# Checkpoints: "));
    EXPECT_THAT(text,
                ::testing::AnyOf(::testing::HasSubstr("# Published accuracy: "), ::testing::HasSubstr("none are")));
  }
}

TEST(ArchitecturesTest, VitCifar) {
  const VitConfig config = read_config<VitConfig>(vit_files().at("vit_cifar"));
  EXPECT_EQ(config.grid().count(), 64);
  EXPECT_EQ(config.num_classes, 10);
  EXPECT_EQ(Vit(config, "vit_cifar").parameter_count(), 4028170);
}

// sum(p.numel() for p in model.parameters()) of timm's models, worked out from the shapes in its source.
TEST(ArchitecturesTest, ParameterCounts) {
  EXPECT_EQ(parameters("vit_tiny_patch16_224", 1000), 5717416);
  EXPECT_EQ(parameters("vit_small_patch16_224", 1000), 22050664);
  EXPECT_EQ(parameters("vit_base_patch16_224", 1000), 86567656);
  EXPECT_EQ(parameters("vit_large_patch16_224", 1000), 304326632);
  EXPECT_EQ(parameters("vit_huge_patch14_224", 1000), 632045800);
  EXPECT_EQ(parameters("vit_base_patch16_384", 1000), 86859496);
  EXPECT_EQ(parameters("vit_base_patch32_224", 1000), 88224232);
  EXPECT_EQ(parameters("vit_giant_patch14_224", 1000), 1012611432);
  EXPECT_EQ(parameters("vit_base_patch16_224_miil", 1000), 86540008);
  EXPECT_EQ(parameters("deit_tiny_distilled_patch16_224", 1000), 5910800);
  EXPECT_EQ(parameters("deit_small_distilled_patch16_224", 1000), 22436432);
  EXPECT_EQ(parameters("deit_base_distilled_patch16_224", 1000), 87338192);
  EXPECT_EQ(parameters("deit3_base_patch16_224", 1000), 86585320);
}

// DINOv2's own files have a mask token beside these, which timm drops.
TEST(ArchitecturesTest, ParameterCountsOfFeatureModels) {
  EXPECT_EQ(parameters("vit_small_patch14_dinov2", 0), 22056192);
  EXPECT_EQ(parameters("vit_base_patch14_dinov2", 0), 86579712);
  EXPECT_EQ(parameters("vit_large_patch14_dinov2", 0), 304367616);
  EXPECT_EQ(parameters("vit_giant_patch14_dinov2", 0), 1136479232);
  EXPECT_EQ(parameters("vit_small_patch14_reg4_dinov2", 0), 22057344);
  EXPECT_EQ(parameters("vit_giant_patch14_reg4_dinov2", 0), 1136483840);
  EXPECT_EQ(parameters("vit_so400m_patch14_siglip_gap_224", 0), 412442352);
  EXPECT_EQ(parameters("vit_so400m_patch14_siglip_224", 0), 427680704);
  EXPECT_EQ(parameters("vit_base_patch16_siglip_224", 0), 92884224);
  EXPECT_EQ(parameters("vit_intern300m_patch14_448", 0), 304012288);
}

TEST(ArchitecturesTest, ParameterCountsOfOtherFamilies) {
  EXPECT_EQ(parameters("vit_base_patch32_clip_224", 512), 87849728);
  EXPECT_EQ(parameters("vit_medium_patch16_reg4_gap_256", 1000), 38881768);
  EXPECT_EQ(parameters("vit_so150m_patch16_reg4_gap_256", 1000), 134131560);
  EXPECT_EQ(parameters("vit_so150m2_patch16_reg1_gap_256", 1000), 136059560);
  EXPECT_EQ(parameters("beit3_base_patch16_224", 1000), 86659816);
}

}  // namespace
}  // namespace vit
