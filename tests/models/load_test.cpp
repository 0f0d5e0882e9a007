#include "vit/models/load.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"
#include "vit/models/vit.h"

namespace vit {
namespace {

using testing::AllOf;
using testing::HasSubstr;

VitConfig tiny() {
  VitConfig config;
  config.img_size = {16, 16};
  config.patch_size = {8, 8};
  config.embed_dim = 8;
  config.depth = 1;
  config.num_heads = 2;
  config.num_classes = 3;
  return config;
}

/// Random tensors for every parameter, by its name.
std::vector<SafetensorsEntry> entries_of(ImageModel& model) {
  std::vector<SafetensorsEntry> entries;
  model.visit_parameters([&](const std::string& name, Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    Rng rng(5, Rng::stream_of(name));
    fill_normal(value, rng, 0.1f);
    entries.push_back({name, value});
  });
  return entries;
}

SafetensorsEntry& named(std::vector<SafetensorsEntry>& entries, const std::string& name) {
  return *std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.name == name; });
}

class LoadTest : public testing::Test {
 protected:
  std::string load_error(const std::vector<SafetensorsEntry>& entries) {
    write(entries);
    return test::usage_error([&] { load_parameters(model_, Weights::open(path()), {}); });
  }
  Tensor load_and_run(const std::vector<SafetensorsEntry>& entries, const KeyMap& keys = {}) {
    write(entries);
    Vit model(tiny(), "tiny");
    load_parameters(model, Weights::open(path()), keys);
    Context ctx;
    return model.forward(ctx, Tensor::full({1, 3, 16, 16}, 0.5f)).value();
  }
  std::filesystem::path path() { return dir_.path() / "model.safetensors"; }
  void write(const std::vector<SafetensorsEntry>& entries) { write_safetensors(path(), entries); }

  test::TempDir dir_;
  Vit model_{tiny(), "tiny"};
};

TEST_F(LoadTest, EverythingThatDoesNotFitIsNamedAtOnce) {
  auto entries = entries_of(model_);
  named(entries, "norm.weight").name = "norm.wieght";
  named(entries, "head.weight").tensor = Tensor::zeros({4, 8});
  entries.push_back({"extra.bias", Tensor::zeros({2})});
  EXPECT_THAT(load_error(entries),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("norm.weight"), HasSubstr("norm.wieght"),
                    HasSubstr("extra.bias"), HasSubstr("head.weight"), HasSubstr("[3, 8]"), HasSubstr("[4, 8]")));
}

TEST_F(LoadTest, SeparateProjectionsAreStackedByTheKeyMap) {
  auto entries = entries_of(model_);
  const Tensor together = load_and_run(entries);
  std::vector<SafetensorsEntry> separate;
  for (const auto& entry : entries) {
    if (entry.name.find("attn.qkv") == std::string::npos) {
      separate.push_back(entry);
      continue;
    }
    const std::string kind = entry.name.substr(entry.name.rfind('.'));
    for (int64_t part = 0; part < 3; ++part)
      separate.push_back({str("model.layers.0.", "qkv"[part], kind), entry.tensor.slice(part * 8, part * 8 + 8)});
  }
  KeyMap keys{.rules = {}, .prefix = "model.", .ignored = {}};
  for (const std::string kind : {".weight", ".bias"})
    keys.rules.push_back(
        {"blocks.{i}.attn.qkv" + kind, {"{p}layers.{i}.q" + kind, "{p}layers.{i}.k" + kind, "{p}layers.{i}.v" + kind}});
  const Tensor apart = load_and_run(separate, keys);
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(apart.f32()[i], together.f32()[i]);
}

TEST_F(LoadTest, IgnoredTensorsAreNoError) {
  auto entries = entries_of(model_);
  const Tensor before = load_and_run(entries);
  entries.push_back({"layers.7.buffer", Tensor::zeros({2})});
  const Tensor after = load_and_run(entries, {.rules = {}, .prefix = "", .ignored = {"layers.{i}.buffer"}});
  EXPECT_EQ(before.f32()[0], after.f32()[0]);
}

TEST_F(LoadTest, APositionTableOfAnotherSquareSizeIsResampled) {
  auto entries = entries_of(model_);
  named(entries, "pos_embed").tensor = Tensor::full({1, 1 + 9, 8}, 0.25f);
  const Tensor resampled = load_and_run(entries);
  named(entries, "pos_embed").tensor = Tensor::full({1, 1 + 4, 8}, 0.25f);
  const Tensor native = load_and_run(entries);
  for (int64_t i = 0; i < 3; ++i) EXPECT_NEAR(resampled.f32()[i], native.f32()[i], 1e-5f);
  named(entries, "pos_embed").tensor = Tensor::zeros({1, 1 + 8, 8});  // no square grid
  EXPECT_THAT(load_error(entries), HasSubstr("pos_embed"));
}

TEST_F(LoadTest, TheFileMayBeReplacedAfterLoading) {
  const auto entries = entries_of(model_);
  write(entries);
  Vit model(tiny(), "tiny");
  load_parameters(model, Weights::open(path()), {});
  Context ctx;
  const Tensor pixels = Tensor::full({1, 3, 16, 16}, 0.5f);
  const Tensor before = model.forward(ctx, pixels).value().clone();
  std::filesystem::resize_file(path(), 0);
  EXPECT_EQ(model.forward(ctx, pixels).value().f32()[0], before.f32()[0]);
}

}  // namespace
}  // namespace vit
