#include "vit/core/context.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "vit/core/registry.h"

namespace vit {
namespace {

class Recorder : public Observer {
 public:
  bool wants(const std::string& name) override {
    asked.push_back(name);
    return name == "blocks.3.attn.probs";
  }
  void observe(const std::string& name, const Tensor& value) override { seen.emplace_back(name, value.numel()); }
  std::vector<std::string> asked;
  std::vector<std::pair<std::string, int64_t>> seen;
};

TEST(Context, ScopesSpellTheModulePath) {
  Context ctx;
  EXPECT_EQ(ctx.scope(), "");
  {
    Scope outer(ctx, "blocks", 3);
    EXPECT_EQ(ctx.scope(), "blocks.3");
    Scope inner(ctx, "attn");
    EXPECT_EQ(ctx.scope(), "blocks.3.attn");
  }
  EXPECT_EQ(ctx.scope(), "");
}

TEST(Context, ObserversSeeWhatTheyWantUnderItsFullName) {
  Context ctx;
  Recorder recorder;
  ctx.observer = &recorder;
  Scope outer(ctx, "blocks", 3);
  EXPECT_FALSE(ctx.wants(""));
  Scope inner(ctx, "attn");
  EXPECT_TRUE(ctx.wants("probs"));
  ctx.observe("probs", Tensor::zeros({5}));
  ctx.observe("other", Tensor::zeros({7}));
  EXPECT_EQ(recorder.seen, (std::vector<std::pair<std::string, int64_t>>{{"blocks.3.attn.probs", 5}}));
}

TEST(StageProfile, AddsUpByName) {
  StageProfile profile;
  profile.add("linear", 0.5);
  profile.add("attention", 0.25);
  profile.add("linear", 0.5);
  ASSERT_EQ(profile.stages().size(), 2u);
  EXPECT_EQ(profile.stages()[0].name, "linear");
  EXPECT_EQ(profile.stages()[0].calls, 2);
  EXPECT_DOUBLE_EQ(profile.stages()[0].seconds, 1.0);
}

TEST(Registry, UnknownNamesGetHelp) {
  Registry<int> registry("animal");
  registry.add("horse", 1);
  registry.add("house", 2);
  EXPECT_EQ(registry.find("horse"), 1);
  EXPECT_THAT(test::usage_error([&] { registry.find("horsee"); }),
              testing::AllOf(testing::HasSubstr("unknown animal 'horsee'"), testing::HasSubstr("did you mean 'horse'"),
                             testing::HasSubstr("known: horse, house")));
  EXPECT_THAT(test::failure([&] { registry.add("horse", 3); }), testing::HasSubstr("registered twice"));
}

}  // namespace
}  // namespace vit
