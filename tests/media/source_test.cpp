#include "vit/media/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "tests/support/temp_dir.h"
#include "vit/media/video.h"

namespace vit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Strings = std::vector<std::string>;

/// What a source yields: paths below `dir` (relative to it), errors behind "!".
Strings items(ImageSource& source, const test::TempDir& dir) {
  Strings all;
  for (SourceItem item; source.next(item);) {
    std::string text = item.path;
    const std::string root = dir.path().string() + "/";
    if (text.rfind(root, 0) == 0) text = text.substr(root.size());
    all.push_back(text + (item.error.empty() ? "" : "! " + item.error));
  }
  return all;
}

Strings items(const Strings& arguments, const test::TempDir& dir, const SourceOptions& options = {}) {
  ImageSource source(arguments, options);
  return items(source, dir);
}

class Source : public testing::Test {
 protected:
  Source() {
    for (const char* name :
         {"b.jpg", "a.PNG", "notes.txt", "sub/deep/z.webp", "sub/c.jpeg", "b/d.tif", "empty/readme.md"})
      dir_.write(name, "x");
  }
  std::string at(const std::string& name) const { return (dir_ / name).string(); }

  test::TempDir dir_;
};

TEST_F(Source, FilesComeInTheOrderGiven) {
  EXPECT_THAT(items({at("b.jpg"), at("notes.txt"), at("a.PNG")}, dir_), ElementsAre("b.jpg", "notes.txt", "a.PNG"));
}

TEST_F(Source, FoldersAreWalkedSortedAndRecursively) {
  EXPECT_THAT(items({dir_.path().string()}, dir_),
              ElementsAre("a.PNG", "b/d.tif", "b.jpg", "sub/c.jpeg", "sub/deep/z.webp"));
  EXPECT_THAT(items({at("sub") + "/"}, dir_), ElementsAre("sub/c.jpeg", "sub/deep/z.webp"));
}

TEST_F(Source, FoldersWithoutPicturesAreErrors) {
  EXPECT_THAT(items({at("empty"), at("b.jpg")}, dir_), ElementsAre("empty! no images in folder", "b.jpg"));
  EXPECT_THAT(items({at("b.jpg"), at("empty")}, dir_), ElementsAre("b.jpg", "empty! no images in folder"));
}

TEST_F(Source, LinkedFoldersCannotLeadInCircles) {
  std::filesystem::create_directory_symlink(dir_.path(), dir_ / "sub" / "deep" / "up");
  EXPECT_EQ(items({dir_.path().string()}, dir_).size(), 5u);
  EXPECT_EQ(items({dir_.path().string() + "/**/*.webp"}, dir_).size(), 1u);
}

TEST_F(Source, MissingFilesAreItems) {
  EXPECT_THAT(items({at("none.jpg"), at("b.jpg")}, dir_), ElementsAre("none.jpg! no such file or folder", "b.jpg"));
}

TEST_F(Source, GlobsAreExpandedSorted) {
  EXPECT_THAT(items({at("*.jpg")}, dir_), ElementsAre("b.jpg"));
  EXPECT_THAT(items({at("*/*.j*g")}, dir_), ElementsAre("sub/c.jpeg"));
  EXPECT_THAT(items({at("**/*.[tw][ie]*")}, dir_), ElementsAre("b/d.tif", "sub/deep/z.webp"));
  EXPECT_THAT(items({at("?.jpg")}, dir_), ElementsAre("b.jpg"));
  EXPECT_THAT(items({at("*.gif")}, dir_), ElementsAre("*.gif! no file matches"));
}

TEST_F(Source, NamesWithGlobCharactersAreTakenAsTheyAre) {
  dir_.write("odd[1].jpg", "x");
  EXPECT_THAT(items({at("odd[1].jpg")}, dir_), ElementsAre("odd[1].jpg"));
}

TEST_F(Source, ListsNameOneSourcePerLine) {
  const auto list =
      dir_.write("list.txt", "# comment\n\n" + at("b.jpg") + "\r\n" + at("sub") + "\n" + at("none.png") + "\n@x\n");
  EXPECT_THAT(items({"@" + list.string(), at("a.PNG")}, dir_),
              ElementsAre("b.jpg", "sub/c.jpeg", "sub/deep/z.webp", "none.png! no such file or folder",
                          "@x! a list of sources may not name another list", "a.PNG"));
  EXPECT_THAT(items({"@" + at("nolist.txt")}, dir_),
              ElementsAre("@" + at("nolist.txt") + "! the list cannot be opened"));
}

TEST_F(Source, StandardInputIsReadLineByLine) {
  std::istringstream input(at("b.jpg") + "\n" + at("empty") + "\n" + at("sub"));
  EXPECT_THAT(items({"-", at("a.PNG")}, dir_, {.verb = "classify", .input = &input}),
              ElementsAre("b.jpg", "empty! no images in folder", "sub/c.jpeg", "sub/deep/z.webp", "a.PNG"));
}

TEST_F(Source, StandardInputIsNotReadAhead) {
  std::istringstream input(at("b.jpg") + "\n" + at("a.PNG") + "\n");
  ImageSource source({"-"}, {.verb = "classify", .input = &input});
  SourceItem item;
  ASSERT_TRUE(source.next(item));
  std::string rest;
  std::getline(input, rest);
  EXPECT_EQ(rest, at("a.PNG"));
}

TEST_F(Source, VideoSourcesAreRefusedByName) {
  const auto video = dir_.write("film.mp4", "x");
  for (const std::string& argument :
       Strings{"rtsp://camera/1", "http://host/stream", "0", "missing.mkv", video.string()}) {
    ImageSource source({argument}, {.verb = "classify"});
    SourceItem item;
    ASSERT_TRUE(source.next(item));
    EXPECT_EQ(item.path, argument);
    EXPECT_THAT(item.error, HasSubstr("video sources are not supported by classify"));
  }
}

TEST_F(Source, VideosAreItemsForWhoAsksForThem) {
  dir_.write("films/a.jpg", "x");
  dir_.write("films/b.MP4", "x");
  dir_.write("films/c.txt", "x");
  dir_.write("films/bare", std::string("\0\0\0 ftypisom", 12));
  ImageSource source({at("films"), at("films/bare"), "rtsp://camera/1", "7", at("missing.mkv")}, {.videos = true});
  std::vector<std::pair<std::string, bool>> found;
  SourceItem item;
  while (source.next(item) && item.error.empty()) found.emplace_back(item.path, item.video);
  EXPECT_THAT(found, ElementsAre(std::pair(at("films/a.jpg"), false), std::pair(at("films/b.MP4"), true),
                                 std::pair(at("films/bare"), true), std::pair(std::string("rtsp://camera/1"), true),
                                 std::pair(std::string("7"), true)));
  EXPECT_EQ(item.path, at("missing.mkv"));
  EXPECT_EQ(item.error, "no such file or folder");
}

TEST(SourceNames, LiveSourcesHaveNoEnd) {
  for (const char* live : {"0", "12", "rtsp://a/b", "RTSP://a", "https://host/x.mjpg", "udp://@:5000"}) {
    EXPECT_TRUE(is_live_source(live)) << live;
    EXPECT_TRUE(is_video_source(live)) << live;
  }
  for (const char* other : {"", "1234", "film.mp4", "ftp://a/b", "rtsp://", "photo.jpg", "-1"})
    EXPECT_FALSE(is_live_source(other)) << other;
  EXPECT_TRUE(is_video_source("dir/film.MKV"));
  EXPECT_FALSE(is_video_source("photo.jpg"));
}

TEST_F(Source, NothingGivesNothing) {
  EXPECT_TRUE(items(Strings{}, dir_).empty());
  EXPECT_THAT(items({""}, dir_), ElementsAre("! no such file or folder"));
}

TEST(SourceNames, ExtensionsAreComparedWithoutCase) {
  EXPECT_TRUE(has_image_extension("x/Photo.JPEG"));
  EXPECT_FALSE(has_image_extension("x/photo.jpeg.txt"));
  EXPECT_FALSE(has_image_extension("jpeg"));
}

}  // namespace
}  // namespace vit
