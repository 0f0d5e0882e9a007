#include "datasets/image_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

/// Paths relative to the root, with their class.
std::vector<std::string> listing(const ImageFolder& dataset) {
  std::vector<std::string> all;
  for (const ImageFolder::Item& item : dataset.items)
    all.push_back(std::to_string(item.folder) + ":" +
                  std::filesystem::path(item.path).lexically_relative(dataset.root).string());
  return all;
}

TEST(ImageFolder, ListsClassesAndPicturesInOrder) {
  const TempDir dir;
  for (const char* file :
       {"b/2.jpg", "b/1.PNG", "a/deep/x.jpeg", "a/notes.txt", "10/z.jpg", "9/y.jpg", ".hidden/q.jpg"})
    dir.write(file, "x");
  std::filesystem::create_directories(dir / "empty");
  const ImageFolder dataset = open_image_folder(dir.path().string());
  EXPECT_THAT(dataset.folders, ElementsAre("10", "9", "a", "b", "empty")) << "sorted by bytes, as Python does";
  EXPECT_THAT(listing(dataset), ElementsAre("0:10/z.jpg", "1:9/y.jpg", "2:a/deep/x.jpeg", "3:b/1.PNG", "3:b/2.jpg"));
  EXPECT_THAT(dataset.skipped, ElementsAre((dir / "a" / "notes.txt").string()));
}

TEST(ImageFolder, ChoosesTheSplit) {
  const TempDir dir;
  for (const char* file : {"train/a/1.jpg", "validation/a/2.jpg", "test/a/3.jpg"}) dir.write(file, "x");
  const std::string root = dir.path().string();
  EXPECT_THAT(listing(open_image_folder(root)), ElementsAre("0:a/2.jpg"));
  EXPECT_THAT(listing(open_image_folder(root, "val")), ElementsAre("0:a/2.jpg"));
  EXPECT_THAT(listing(open_image_folder(root, "train")), ElementsAre("0:a/1.jpg"));
  EXPECT_THAT(listing(open_image_folder(root + "/test", "val")), ElementsAre("0:a/3.jpg")) << "no splits below it";
  EXPECT_EQ(open_image_folder(root + "/test", "val").split, "");
  EXPECT_EQ(open_image_folder(root, "val").split, "validation");
  EXPECT_THAT(usage_error([&] { open_image_folder(root, "holdout"); }), HasSubstr("found: train, validation, test"));
  std::filesystem::remove_all(dir / "validation");
  EXPECT_THAT(listing(open_image_folder(root)), ElementsAre("0:a/3.jpg"));
  EXPECT_THAT(usage_error([&] { open_image_folder(root, "val"); }), HasSubstr("no split val"));
}

TEST(ImageFolder, AClassMayBeCalledAsASplit) {
  const TempDir dir;
  for (const char* file : {"train/1.jpg", "bus/2.jpg"}) dir.write(file, "x");
  EXPECT_THAT(open_image_folder(dir.path().string()).folders, ElementsAre("bus", "train"));
  std::filesystem::remove_all(dir / "bus");
  EXPECT_THAT(usage_error([&] { open_image_folder(dir.path().string(), "train"); }), HasSubstr("no class folders"));
}

TEST(ImageFolder, RefusesWhatIsNoDataset) {
  const TempDir dir;
  const std::string root = dir.path().string();
  EXPECT_THAT(usage_error([&] { open_image_folder(root + "/none"); }), HasSubstr("no such folder"));
  EXPECT_THAT(usage_error([&] { open_image_folder(root); }), HasSubstr("no class folders"));
  dir.write("a/readme.txt", "x");
  EXPECT_THAT(usage_error([&] { open_image_folder(root); }), HasSubstr("no picture"));
  EXPECT_THAT(usage_error([&] { open_image_folder(root + "/a/readme.txt"); }), HasSubstr("no folder"));
}

TEST(ImageFolder, EndsOnLinksInCircles) {
  const TempDir dir;
  dir.write("a/1.jpg", "x");
  std::filesystem::create_directory_symlink(dir / "a", dir / "a" / "again");
  EXPECT_GE(open_image_folder(dir.path().string()).items.size(), 1u);
}

}  // namespace
}  // namespace datasets
