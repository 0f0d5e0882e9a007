#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "datasets/data_file.h"
#include "datasets/label_check.h"
#include "datasets/open.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::be;
using vit::test::TempDir;
using vit::test::usage_error;

std::string idx(const std::vector<uint64_t>& dims, const std::string& data) {
  std::string bytes = std::string("\0\0\x08", 3) + static_cast<char>(dims.size());
  for (const uint64_t dim : dims) bytes += be(dim, 4);
  return bytes + data;
}

void write_gzip(const TempDir& dir, const std::string& name, const std::string& content) {
  dir.write(name, "");
  gzFile file = gzopen((dir / name).c_str(), "wb");
  ASSERT_EQ(gzwrite(file, content.data(), static_cast<unsigned>(content.size())), static_cast<int>(content.size()));
  gzclose(file);
}

void write_mnist(const TempDir& dir) {
  dir.write("train-images-idx3-ubyte", idx({3, 2, 2}, "abcdefghijkl"));
  dir.write("train-labels-idx1-ubyte", idx({3}, std::string("\x05\0\x02", 3)));
  write_gzip(dir, "t10k-images-idx3-ubyte.gz", idx({1, 2, 2}, "wxyz"));
  write_gzip(dir, "t10k-labels-idx1-ubyte.gz", idx({1}, "\x01"));
}

TEST(Idx, ReadsPlainAndCompressedFiles) {
  const TempDir dir;
  write_mnist(dir);
  const std::string root = dir.path().string();
  EXPECT_THAT(dataset_splits(root), ElementsAre("train", "test"));
  const OpenedDataset train = open_dataset(root, {.split = "train"});
  EXPECT_EQ(train.format, "idx");
  EXPECT_THAT(labels_of(*train.data), ElementsAre(5, 0, 2));
  EXPECT_EQ(train.data->class_names().size(), 6u);
  EXPECT_EQ(train.data->source(1), (dir / "train-images-idx3-ubyte").string() + "#1");
  EXPECT_THAT(vit::test::pixels_of(train.data->load(1)),
              ElementsAre('e', 'e', 'e', 'f', 'f', 'f', 'g', 'g', 'g', 'h', 'h', 'h'));
  const OpenedDataset test = open_dataset("idx:" + root);
  EXPECT_EQ(test.split, "test");
  EXPECT_EQ(test.data->load(0).row(1)[5], 'z');
}

TEST(Idx, ReadsColourAndWhatTorchvisionUnpacks) {
  const TempDir dir;
  dir.write("MNIST/raw/train-images.idx3-ubyte", idx({1, 1, 2, 3}, "RGBrgb"));
  dir.write("MNIST/raw/train-labels.idx1-ubyte", idx({1}, std::string(1, '\0')));
  const OpenedDataset opened = open_dataset(dir.path().string(), {.split = "train"});
  EXPECT_THAT(vit::test::pixels_of(opened.data->load(0)), ElementsAre('R', 'G', 'B', 'r', 'g', 'b'));
}

TEST(Idx, RefusesDamage) {
  const TempDir dir;
  const auto error = [&](const std::string& images, const std::string& labels) {
    dir.write("train-images-idx3-ubyte", images);
    dir.write("train-labels-idx1-ubyte", labels);
    return usage_error([&] { open_dataset(dir.path().string(), {.split = "train"}); });
  };
  const std::string labels = idx({1}, "\x01");
  EXPECT_THAT(error("", labels), HasSubstr("truncated"));
  EXPECT_THAT(error("abcdefgh", labels), HasSubstr("two zeros"));
  EXPECT_THAT(error(idx({1, 2, 2}, "abc"), labels), HasSubstr("3 bytes of data, the header says 4"));
  EXPECT_THAT(error(idx({1, 2, 2}, "abcde"), labels), HasSubstr("5 bytes of data, the header says 4"));
  EXPECT_THAT(error(idx({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "abcd"), labels), HasSubstr("dimension 0"));
  EXPECT_THAT(error(idx({1, 4}, "abcd"), labels), HasSubstr("2 dimensions"));
  EXPECT_THAT(error(idx({2, 1, 2}, "abcd"), labels), HasSubstr("1 labels, but 2 pictures"));
  EXPECT_THAT(error(idx({1, 1, 2, 2}, "abcd"), labels), HasSubstr("2 channels"));
  std::string floats = idx({1, 2, 2}, "abcd");
  floats[2] = 0x0D;
  EXPECT_THAT(error(floats, labels), HasSubstr("type 13"));
}

TEST(Idx, RefusesDamagedGzip) {
  const TempDir dir;
  write_mnist(dir);
  std::string bytes = vit::test::slurp(dir / "t10k-images-idx3-ubyte.gz");
  dir.write("t10k-images-idx3-ubyte.gz", bytes.substr(0, bytes.size() - 6));
  EXPECT_THAT(usage_error([&] { open_dataset(dir.path().string()); }), HasSubstr("truncated gzip"));
  bytes[12] = static_cast<char>(~bytes[12]);
  dir.write("t10k-images-idx3-ubyte.gz", bytes);
  EXPECT_THAT(usage_error([&] { open_dataset(dir.path().string()); }), HasSubstr("gz"));
}

TEST(DataFile, ReadsAnywhereAndNothingBehindItsEnd) {
  const TempDir dir;
  const DataFile file = DataFile::open(dir.write("x", "0123456789").string());
  EXPECT_EQ(file.read(3, 4), "3456");
  EXPECT_EQ(file.read(10, 0), "");
  EXPECT_THAT(vit::test::failure([&] { file.read(7, 4); }), HasSubstr("ends at byte 10"));
  EXPECT_THAT(vit::test::failure([&] { file.read(-1, 1); }), HasSubstr("byte -1"));
  EXPECT_THAT(vit::test::failure([&] { file.read(0, int64_t{1} << 60); }), HasSubstr("ends at byte 10"));
  dir.write("x", "01");
  EXPECT_THAT(vit::test::failure([&] { file.read(3, 4); }), HasSubstr("become shorter"));
  EXPECT_THAT(usage_error([&] { DataFile::open(dir.path().string()); }), HasSubstr("no regular file"));
  EXPECT_THAT(usage_error([&] { DataFile::open((dir / "none").string()); }), HasSubstr("cannot be opened"));
}

}  // namespace
}  // namespace datasets
