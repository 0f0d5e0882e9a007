#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/label_check.h"
#include "datasets/open.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

constexpr const char* kNames10 = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";

/// A record whose planes hold `base`, `base` + 1 and `base` + 2, the first red pixel 255.
std::string record(const std::string& labels, int base) {
  std::string bytes = labels;
  for (int channel = 0; channel < 3; ++channel) bytes += std::string(1024, static_cast<char>(base + channel));
  bytes[labels.size()] = '\xFF';
  return bytes;
}

void write_cifar10(const TempDir& dir, const std::string& folder) {
  for (int i = 1; i <= 5; ++i)
    dir.write(folder + "data_batch_" + std::to_string(i) + ".bin",
              record(std::string(1, static_cast<char>(i)), 10 * i) + record(std::string(1, '\x07'), 10 * i + 3));
  dir.write(folder + "test_batch.bin", record(std::string(1, '\0'), 100));
  dir.write(folder + "batches.meta.txt", kNames10);
}

TEST(Cifar, ReadsCifar10) {
  const TempDir dir;
  write_cifar10(dir, "");
  const std::string root = dir.path().string();
  EXPECT_THAT(dataset_splits(root), ElementsAre("train", "test"));
  const OpenedDataset test = open_dataset(root);
  EXPECT_EQ(test.format, "cifar10");
  EXPECT_EQ(test.split, "test");
  EXPECT_EQ(test.data->size(), 1);
  EXPECT_EQ(test.data->class_names().at(9), "truck");

  const OpenedDataset train = open_dataset("cifar10:" + root, {.split = "train"});
  EXPECT_THAT(labels_of(*train.data), ElementsAre(1, 7, 2, 7, 3, 7, 4, 7, 5, 7));
  EXPECT_EQ(train.data->source(3), (dir / "data_batch_2.bin").string() + "#1");
  const vit::Image image = train.data->load(3);
  ASSERT_EQ(image.height(), 32);
  ASSERT_EQ(image.width(), 32);
  EXPECT_THAT(std::vector<int>(image.row(0), image.row(0) + 6), ElementsAre(255, 24, 25, 23, 24, 25));
  EXPECT_THAT(usage_error([&] { open_dataset(root, {.split = "val"}); }), HasSubstr("no split val"));
}

TEST(Cifar, ReadsCifar100WhereItUnpacks) {
  const TempDir dir;
  std::string names;
  for (int i = 0; i < 100; ++i) names += "fine" + std::to_string(i) + "\r\n";
  dir.write("cifar-100-binary/train.bin", record("\x03\x2A", 1));
  dir.write("cifar-100-binary/fine_label_names.txt", names);
  const OpenedDataset opened = open_dataset(dir.path().string(), {.split = "train"});
  EXPECT_EQ(opened.format, "cifar100");
  EXPECT_EQ(opened.data->label(0), 42);
  EXPECT_EQ(opened.data->class_names().at(42), "fine42");
  EXPECT_EQ(opened.data->load(0).row(31)[95], 3);
}

TEST(Cifar, RefusesDamage) {
  const TempDir dir;
  write_cifar10(dir, "");
  const std::string root = dir.path().string();
  dir.write("test_batch.bin", record("x", 1) + "y");
  EXPECT_THAT(usage_error([&] { open_dataset(root); }), HasSubstr("record 1 at byte 3073"));
  dir.write("test_batch.bin", "");
  EXPECT_THAT(usage_error([&] { open_dataset(root); }), HasSubstr("test_batch.bin"));
  dir.write("batches.meta.txt", "one\ntwo\n");
  EXPECT_THAT(usage_error([&] { open_dataset(root); }), HasSubstr("2 class names, expected 10"));
  std::filesystem::remove(dir / "data_batch_3.bin");
  EXPECT_THAT(usage_error([&] { open_dataset(root, {.split = "train"}); }), HasSubstr("4 of the 5 files"));
  EXPECT_THAT(usage_error([&] { open_dataset("cifar100:" + root); }), HasSubstr("train.bin"));
  dir.write("python/data_batch_1", "x");
  EXPECT_THAT(usage_error([&] { open_dataset("cifar10:" + root + "/python"); }), HasSubstr("binary version"));
}

TEST(Cifar, LabelsOutOfRangeAreFoundBeforeTraining) {
  const TempDir dir;
  dir.write("test_batch.bin", record("\x09", 1) + record("\xC8", 2));
  const OpenedDataset opened = open_dataset(dir.path().string());
  EXPECT_EQ(opened.data->label(1), 200);
  EXPECT_EQ(opened.data->class_names().at(3), "3") << "numbers, where there is no file of names";
  EXPECT_THAT(usage_error([&] { require_labels(*opened.data, "here"); }),
              testing::AllOf(HasSubstr("test_batch.bin#1 has the label 200"), HasSubstr("1 of 2 pictures")));
  EXPECT_THAT(usage_error([&] { require_no_empty_class(*opened.data, "here"); }), HasSubstr("'0', '1'"));
}

}  // namespace
}  // namespace datasets
