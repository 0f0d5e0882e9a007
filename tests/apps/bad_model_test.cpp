// Checkpoints that are wrong: one clear message that names the file, status 2, no crash.
#include <cstring>
#include <filesystem>

#include "tests/apps/verb_test.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class BadModel : public VerbTest {
 protected:
  /// What classify says to the model as it is now.
  CommandResult classify() const { return run_vitkit({"classify", "--model", model(), jpeg("a.jpg")}); }
  void write_config(const nlohmann::json& config) const { dir_.write("model/config.json", config.dump()); }
  void write_weights(const std::string& bytes) const { dir_.write("model/model.safetensors", bytes); }
};

TEST_F(BadModel, UnknownNamesAreRefused) {
  expect_refused(run_vitkit({"classify", "--model", path("nowhere"), jpeg("a.jpg")}), "nowhere");
  expect_refused(run_vitkit({"classify", "--model", "vit_bas_patch16_224", jpeg("a.jpg")}), "vit_base_patch16_224");
  expect_refused(run_vitkit({"classify", "--model", jpeg("a.jpg"), jpeg("a.jpg")}), "a.jpg");
}

TEST_F(BadModel, AnUnknownArchitectureHasANearOneOrAList) {
  nlohmann::json config = tiny_config();
  config["architecture"] = "vit_bas_patch16_224";
  write_config(config);
  const CommandResult result = classify();
  expect_refused(result, "vit_bas_patch16_224");
  EXPECT_THAT(result.err, HasSubstr("config.json"));
  EXPECT_THAT(result.err, HasSubstr("did you mean 'vit_base_patch16_224'"));
  EXPECT_THAT(result.err, HasSubstr("info --list architectures"));
}

TEST_F(BadModel, NonsenseDimensionsAreRefused) {
  const std::vector<std::pair<std::string, nlohmann::json>> nonsense = {{"embed_dim", -32},
                                                                        {"embed_dim", 0},
                                                                        {"embed_dim", "wide"},
                                                                        {"num_heads", 5},
                                                                        {"depth", 1e18},
                                                                        {"depth", -1},
                                                                        {"patch_size", 0},
                                                                        {"img_size", -1},
                                                                        {"img_size", 1 << 30},
                                                                        {"mlp_ratio", -4},
                                                                        {"embed_dim", nlohmann::json::array({1, 2})}};
  for (const auto& [key, value] : nonsense) {
    nlohmann::json config = tiny_config();
    config["model_args"][key] = value;
    write_config(config);
    const CommandResult result = classify();
    EXPECT_EQ(result.status, 2) << key << " " << value << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr("config.json")) << key << " " << value;
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(BadModel, ABrokenConfigIsRefused) {
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"), std::string("{}"),
                                  std::string(10000, '[') + std::string(10000, ']'),
                                  std::string("{\"a\":") + std::string(10000, '[') + std::string(10000, ']') + "}"}) {
    dir_.write("model/config.json", text);
    expect_refused(classify(), "config.json");
  }
}

TEST_F(BadModel, LyingWeightsAreRefused) {
  const std::string good = slurp(dir_ / "model" / "model.safetensors");
  std::string long_header = good, overlap = good;
  long_header.replace(0, 8, le(uint64_t{1} << 60, 8));
  const size_t offsets = overlap.find("\"data_offsets\":[");
  ASSERT_NE(offsets, std::string::npos);
  overlap[offsets + std::strlen("\"data_offsets\":[")] = '9';
  for (const std::string& bytes : {std::string(), std::string("abc"), good.substr(0, good.size() - 5),
                                   good.substr(0, 100), good + "surplus", long_header, overlap}) {
    write_weights(bytes);
    expect_refused(classify(), "model.safetensors");
  }
}

TEST_F(BadModel, TensorsThatDoNotFitAreAllNamed) {
  nlohmann::json config = tiny_config();
  config["model_args"]["depth"] = 3;
  config["num_classes"] = 7;
  config["pretrained_cfg"].erase("label_names");
  write_config(config);
  const CommandResult result = classify();
  expect_refused(result, "model.safetensors");
  for (const char* name : {"blocks.2.norm1.weight", "blocks.2.mlp.fc2.bias", "head.weight", "head.bias"})
    EXPECT_THAT(result.err, HasSubstr(name));
}

TEST_F(BadModel, APickleIsRefusedWithTheCommandThatConvertsIt) {
  std::filesystem::remove(dir_ / "model" / "model.safetensors");
  dir_.write("model/pytorch_model.bin", "PK");
  const CommandResult result = classify();
  expect_refused(result, "python3 -c");
}

TEST_F(BadModel, WrongPreprocessingIsRefused) {
  nlohmann::json config = tiny_config();
  config["pretrained_cfg"]["crop_mode"] = "diagonal";
  write_config(config);
  expect_refused(classify(), "diagonal");
}

}  // namespace
}  // namespace vit::test
