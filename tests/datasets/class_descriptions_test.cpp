#include "datasets/class_descriptions.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

TEST(ClassDescriptions, ComeFromTheDataSetAndFromImageNet) {
  const vit::test::TempDir dir;
  std::filesystem::create_directories(dir.path() / "train");
  std::ofstream(dir.path() / "classes.txt") << "n02102040 springer, a spaniel\r\nalone\n\nother words of it\n";
  const std::vector<std::string> names = {"n01440764", "n02102040", "alone", "cat"};
  for (const auto& root : {dir.path(), dir.path() / "train"}) {
    const auto found = class_descriptions(root, names);
    EXPECT_EQ(found.size(), 2u);
    EXPECT_EQ(found.at("n02102040"), "springer, a spaniel");
    EXPECT_EQ(found.at("n01440764").substr(0, 5), "tench");
  }
  EXPECT_TRUE(class_descriptions(dir.path(), {"cat", "dog"}).empty());
}

}  // namespace
}  // namespace datasets
