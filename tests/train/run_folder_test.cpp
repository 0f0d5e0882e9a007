#include "vit/train/run_folder.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::slurp;
using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ConfigNode config(const char* yaml) { return ConfigNode::parse(yaml, "test"); }

TEST(RunFolder, MakesItsFolderAndKeepsTheConfig) {
  const TempDir dir;
  const RunFolder run(dir / "a/b", RunMode::fresh);
  EXPECT_FALSE(run.has_config());
  run.write_config(config("{model: {depth: 3}, lr: 0.1}"));
  EXPECT_TRUE(run.has_config());
  EXPECT_TRUE(run.read_config() == config("{lr: 0.1, model: {depth: 3}}"));
  EXPECT_EQ(run.checkpoints(), dir / "a/b" / "checkpoints");
}

TEST(RunFolder, RefusesAnotherRunUnlessTold) {
  const TempDir dir;
  dir.write("run/notes.txt", "mine");
  { const RunFolder run(dir / "run", RunMode::fresh); }
  for (const char* file : {"metrics.csv", "config.yaml", "events.out.tfevents.1.vitkit.2", "checkpoints/step-1/x"}) {
    dir.write(std::string("run/") + file, "x");
    EXPECT_THAT(usage_error([&] { RunFolder(dir / "run", RunMode::fresh); }),
                AllOf(HasSubstr("holds another run"), HasSubstr("--resume"), HasSubstr("overwrite")))
        << file;
    { const RunFolder run(dir / "run", RunMode::resume); }
    EXPECT_TRUE(holds_run(dir / "run"));
    { const RunFolder run(dir / "run", RunMode::overwrite); }
    EXPECT_FALSE(holds_run(dir / "run")) << file;
  }
  EXPECT_EQ(slurp(dir / "run/notes.txt"), "mine") << "what is not a run's stays";
  dir.write("file", "x");
  EXPECT_THAT(usage_error([&] { RunFolder(dir / "file", RunMode::overwrite); }), HasSubstr("is a file"));
}

TEST(RunFolder, OneRunAtATime) {
  const TempDir dir;
  auto first = std::make_unique<RunFolder>(dir / "run", RunMode::fresh);
  EXPECT_THAT(usage_error([&] { RunFolder(dir / "run", RunMode::resume); }), HasSubstr("another run is writing"));
  first.reset();
  const RunFolder second(dir / "run", RunMode::resume);
}

TEST(RunFolder, NamesWhatDiffers) {
  EXPECT_THAT(differing_keys(config("{model: {depth: 3, dim: 4}, lr: 0.1, seed: 1}"),
                             config("{model: {depth: 5, dim: 4, heads: 2}, lr: 0.1}")),
              ElementsAre("model.depth", "model.heads", "seed"));
  EXPECT_THAT(differing_keys(config("{a: [1, 2]}"), config("{a: [1, 3]}")), ElementsAre("a"));
}

}  // namespace
}  // namespace vit
