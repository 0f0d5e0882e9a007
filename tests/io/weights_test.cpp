#include "vit/io/weights.h"

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kIndex = "model.safetensors.index.json";

/// A folder of two shards with tensors a, b and c, d.
void write_shards(const TempDir& dir) {
  write_safetensors(dir / "s-1.safetensors", {{"a", Tensor::full({1}, 1)}, {"b", Tensor::full({2}, 2)}});
  write_safetensors(dir / "s-2.safetensors", {{"c", Tensor::full({3}, 3)}, {"d", Tensor::full({4}, 4)}});
}

std::string index_of(const std::string& map) { return R"({"metadata":{"total_size":1},"weight_map":{)" + map + "}}"; }

TEST(Weights, OneFile) {
  const TempDir dir;
  write_safetensors(dir / "model.safetensors",
                    {{"x.weight", Tensor::full({2, 2}, 1)}, {"x.bias", Tensor::full({2}, 2)}});
  for (const auto& path : {dir.path(), dir / "model.safetensors"}) {
    const Weights weights = Weights::open(path);
    EXPECT_THAT(weights.names(), ElementsAre("x.bias", "x.weight"));
    EXPECT_EQ(weights.path(), dir / "model.safetensors");
    EXPECT_EQ(weights.nbytes(), 24);
    EXPECT_EQ(weights.get("x.bias").f32()[1], 2.0f);
    EXPECT_EQ(weights.find("x.weight")->shape, Shape({2, 2}));
    EXPECT_FALSE(weights.contains("y"));
    EXPECT_THAT(usage_error([&] { weights.get("x.wieght"); }),
                AllOf(HasSubstr("no tensor 'x.wieght'"), HasSubstr("did you mean 'x.weight'?")));
    weights.release("x.bias", weights.get("x.bias"));
  }
}

TEST(Weights, NoWeights) {
  EXPECT_TRUE(Weights().names().empty());
  EXPECT_THAT(usage_error([] { Weights().get("x"); }), HasSubstr("no tensor 'x'"));
  const TempDir dir;
  EXPECT_THAT(usage_error([&] { Weights::open(dir.path()); }), HasSubstr("neither model.safetensors nor"));
  EXPECT_THAT(usage_error([&] { Weights::open(dir / "none.safetensors"); }), HasSubstr("No such file"));
  EXPECT_THAT(usage_error([&] { Weights::open(dir / "none.json"); }), HasSubstr("No such file"));
}

TEST(Weights, Shards) {
  const TempDir dir;
  write_shards(dir);
  dir.write(kIndex, index_of(R"("a":"s-1.safetensors","b":"s-1.safetensors","c":"s-2.safetensors")"));
  const Weights weights = Weights::open(dir.path());
  EXPECT_THAT(weights.names(), ElementsAre("a", "b", "c")) << "d is not in the weight_map";
  EXPECT_EQ(weights.get("b").f32()[1], 2.0f);
  EXPECT_EQ(weights.get("c").f32()[2], 3.0f);
  EXPECT_EQ(weights.nbytes(), 24);
  EXPECT_EQ(weights.path(), dir / kIndex);
}

TEST(Weights, BadIndexesAreRefused) {
  const TempDir dir;
  write_shards(dir);
  const auto error = [&](const std::string& text) {
    dir.write(kIndex, text);
    return usage_error([&] { Weights::open(dir.path()); });
  };
  EXPECT_THAT(error("{"), AllOf(HasSubstr(kIndex), HasSubstr("not JSON")));
  EXPECT_THAT(error("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(error("{}"), HasSubstr("names no tensor"));
  EXPECT_THAT(error(R"({"weight_map":[]})"), HasSubstr("weight_map: expected an object"));
  EXPECT_THAT(error(index_of(R"("a":1)")), HasSubstr("weight_map.a: expected a string, got 1"));
  EXPECT_THAT(error(index_of(R"("a":"s-3.safetensors")")), HasSubstr("the shard s-3.safetensors is missing"));
  EXPECT_THAT(error(index_of(R"("c":"s-1.safetensors")")), HasSubstr("'c' is not in its shard s-1.safetensors"));
  EXPECT_THAT(error(index_of(R"("a":"s-1.safetensors","a":"s-2.safetensors")")), HasSubstr("'a' stands twice"));
}

TEST(Weights, ShardsOutsideTheFolderAreRefused) {
  const TempDir dir;
  write_shards(dir);
  std::filesystem::create_directory(dir / "model");
  for (const std::string shard : {"../s-1.safetensors", "/etc/passwd", "..", ".", "", "sub/../../s-1.safetensors"}) {
    dir.write(std::string("model/") + kIndex, index_of(R"("a":")" + shard + "\""));
    EXPECT_THAT(usage_error([&] { Weights::open(dir / "model"); }),
                HasSubstr("a shard must be a file beside the index"))
        << shard;
  }
}

TEST(LoadReport, ListsEverythingByName) {
  LoadReport report;
  EXPECT_TRUE(report.ok());
  report.throw_unless_ok("m");
  EXPECT_THAT(report.message("m"), HasSubstr("all tensors fit"));
  report.missing = {"blocks.0.attn.qkv.weight", "head.bias"};
  report.unexpected = {"blocks.0.attn.qvk.weight"};
  report.mismatched = {{"pos_embed", Shape({1, 197, 768}), Shape({1, 65, 768})}};
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(usage_error([&] { report.throw_unless_ok("m.safetensors"); }),
            "m.safetensors: the weights do not fit the model\n"
            "  2 missing tensors:\n"
            "    blocks.0.attn.qkv.weight (did you mean 'blocks.0.attn.qvk.weight'?)\n"
            "    head.bias\n"
            "  1 unexpected tensor:\n"
            "    blocks.0.attn.qvk.weight\n"
            "  1 wrongly shaped tensor:\n"
            "    pos_embed: expected [1, 197, 768], found [1, 65, 768]");
}

TEST(LoadReport, LongListsAreWholeUnlessALimitIsAsked) {
  LoadReport report;
  for (int i = 0; i < 60; ++i) report.missing.push_back("t" + std::to_string(i));
  EXPECT_THAT(report.message("m"), AllOf(HasSubstr("\n    t49\n"), HasSubstr("\n    t59"), Not(HasSubstr("more"))));
  EXPECT_THAT(report.message("m", 50), AllOf(HasSubstr("60 missing tensors"), HasSubstr("\n    t49\n"),
                                             HasSubstr("and 10 more"), Not(HasSubstr("t50"))));
}

}  // namespace
}  // namespace vit
