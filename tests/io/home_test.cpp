#include "vit/io/home.h"

#include "tests/support/env.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::ScopedEnv;
using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Home, IsWhatTheVariableSays) {
  const TempDir dir;
  const ScopedEnv home("VITKIT_HOME", dir.path().string());
  EXPECT_EQ(home_dir(), dir.path());
  const ScopedEnv wrong("VITKIT_HOME", (dir / "gone").string());
  EXPECT_THAT(usage_error([] { home_dir(); }), AllOf(HasSubstr("VITKIT_HOME"), HasSubstr("gone")));
  EXPECT_THAT(bundled_models(), IsEmpty());
  EXPECT_TRUE(find_in_home("models").empty());
}

TEST(Home, ListsWhatItHolds) {
  const TempDir dir;
  const ScopedEnv home("VITKIT_HOME", dir.path().string());
  for (const std::string file :
       {"models/b/config.json", "models/a/config.json", "models/README.md", "models/c/notes.txt",
        "configs/model/y.yaml", "configs/model/x.yaml", "configs/model/README.md"})
    dir.write(file, "");
  EXPECT_THAT(bundled_models(), ElementsAre("a", "b"));
  EXPECT_THAT(config_names("model"), ElementsAre("x", "y"));
  EXPECT_THAT(config_names("none"), IsEmpty());
  EXPECT_EQ(find_in_home("models/a"), dir / "models/a");
  EXPECT_TRUE(find_in_home("models/d").empty());
}

TEST(Home, IsFoundFromABuildTreeAndFromAnInstallation) {
  const TempDir dir;
  dir.write("source/configs/model/x.yaml", "");
  std::filesystem::create_directories(dir / "source/build/release/apps");
  EXPECT_EQ(find_home_from(dir / "source/build/release/apps"), dir / "source");

  dir.write("prefix/share/vitkit/configs/model/x.yaml", "");
  std::filesystem::create_directories(dir / "prefix/bin");
  std::filesystem::create_directories(dir / "prefix/lib/x86_64-linux-gnu");
  EXPECT_EQ(find_home_from(dir / "prefix/bin"), dir / "prefix/share/vitkit");
  EXPECT_EQ(find_home_from(dir / "prefix/lib/x86_64-linux-gnu"), dir / "prefix/share/vitkit");

  std::filesystem::create_directories(dir / "source/1/2/3/4/5/6");
  EXPECT_TRUE(find_home_from(dir / "source/1/2/3/4/5/6").empty()) << "that far up is somebody else's folder";
  EXPECT_TRUE(find_home_from("").empty());
}

}  // namespace
}  // namespace vit
