// Damaged files of every format: whatever is in them, opening and reading either works or fails with a vit::Error.
#include <gtest/gtest.h>

#include <functional>

#include "datasets/doctor.h"
#include "datasets/fingerprint.h"
#include "datasets/label_check.h"
#include "datasets/open.h"
#include "tests/support/image_encode.h"
#include "tests/support/tar_write.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"

namespace datasets {
namespace {

using vit::test::be;
using vit::test::TempDir;

constexpr int kRounds = 150;

/// Changes, removes or repeats a few bytes.
std::string damaged(std::string bytes, vit::Rng& rng) {
  const auto below = [&](size_t limit) { return limit == 0 ? 0 : rng.next_u32() % limit; };
  for (uint32_t i = 0; i < 1 + rng.next_u32() % 4 && !bytes.empty(); ++i) {
    const size_t at = below(bytes.size());
    switch (rng.next_u32() % 4) {
      case 0:
        bytes[at] = static_cast<char>(rng.next_u32());
        break;
      case 1:
        bytes.erase(at, 1 + below(20));
        break;
      case 2:
        bytes.insert(at, bytes.substr(below(bytes.size()), below(30)));
        break;
      default:
        bytes[at] = "\xFF\0\x7F\"\n,{}"[rng.next_u32() % 8];
    }
  }
  if (rng.next_u32() % 5 == 0) bytes.resize(below(bytes.size() + 1));
  return bytes;
}

void use(const std::string& spec) {
  try {
    for (const std::string& split : dataset_splits(spec)) open_dataset(spec, {.split = split});
    const OpenedDataset opened = open_dataset(spec);
    class_counts(*opened.data);
    fingerprint(*opened.data);
    for (int64_t i = 0; i < opened.data->size(); ++i) examine_picture(*opened.data, i, {.max_pixels = 1 << 20});
    diagnose(examine(spec, "", {.max_pixels = 1 << 20}));
  } catch (const vit::Error&) {
  }
}

/// Damages each of the files in turn, the others being whole.
void damage_each(const std::vector<std::pair<std::string, std::string>>& files, const std::string& format) {
  const TempDir dir;
  for (const auto& [name, content] : files) dir.write(name, content);
  vit::Rng rng(vit::Rng::stream_of(format));
  for (const auto& [name, content] : files) {
    for (int round = 0; round < kRounds; ++round) {
      dir.write(name, damaged(content, rng));
      use(format + ":" + dir.path().string());
    }
    dir.write(name, content);
  }
}

std::string small_jpeg() { return vit::test::encode_jpeg(vit::test::pattern(9, 7)); }

TEST(CorruptData, Cifar) {
  const std::string record = std::string(1, '\3') + std::string(3072, 'x');
  damage_each({{"test_batch.bin", record + record}, {"batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"}}, "cifar10");
}

TEST(CorruptData, Idx) {
  const std::string images = std::string("\0\0\x08\x03", 4) + be(2, 4) + be(3, 4) + be(2, 4) + "abcdefABCDEF";
  const std::string labels = std::string("\0\0\x08\x01", 4) + be(2, 4) + "\1\2";
  damage_each({{"t10k-images-idx3-ubyte", images}, {"t10k-labels-idx1-ubyte", labels}}, "idx");
}

TEST(CorruptData, WebDataset) {
  damage_each({{"0.tar", vit::test::make_tar({{"a.jpg", small_jpeg()}, {"a.cls", "1"}})},
               {"1.tar", vit::test::tar_member("x", vit::test::pax_record("path", "b.jpg"), 'x') +
                             vit::test::tar_member("y", small_jpeg()) +
                             vit::test::tar_member("b.json", R"({"label": "cat", "more": [1, {}]})")}},
              "webdataset");
}

TEST(CorruptData, Manifest) {
  damage_each(
      {{"labels.csv", "path,label,split\n\"a.jpg\",1,train\na.jpg,\"x \"\"y\"\"\",val\n"}, {"a.jpg", small_jpeg()}},
      "manifest");
}

TEST(CorruptData, Coco) {
  damage_each({{"train.json",
                R"({"images": [{"id": 1, "file_name": "a.jpg", "width": 7, "height": 9}], "annotations": [{"id": 3,)"
                R"("image_id": 1, "category_id": 2, "bbox": [1, 2.5, 3e0, NaN], "iscrowd": 0}, {"image_id": 1,)"
                R"("category_id": 2, "bbox": [0, 0, 5, 5], "area": 20, "segmentation": [[1, 2, 3]]}],)"
                R"("categories": [{"id": 2, "name": "dog"}]})"},
               {"images/a.jpg", small_jpeg()}},
              "coco");
}

TEST(CorruptData, Voc) {
  damage_each(
      {{"Annotations/a.xml",
        "<annotation><filename>a.jpg</filename><size><width>7</width><height>9</height></size><object><name>dog"
        "</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></object></annotation>"},
       {"ImageSets/Main/val.txt", "a\n"},
       {"JPEGImages/a.jpg", small_jpeg()}},
      "voc");
}

TEST(CorruptData, Yolo) {
  damage_each({{"data.yaml", "path: .\ntrain: images\nval: images\nnames: {0: dog, 1: cat}\n"},
               {"labels/a.txt", "0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.1 0.2 0.2\n"},
               {"images/a.jpg", small_jpeg()}},
              "yolo");
}

TEST(CorruptData, CocoCaptions) {
  damage_each({{"captions_train.json",
                R"({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"id": 3, "image_id": 1,)"
                R"("caption": "A caf\u00e9 \ud83d\ude00."}, {"image_id": 1, "caption": "Two."}]})"},
               {"images/a.jpg", small_jpeg()}},
              "coco_captions");
}

TEST(CorruptData, Karpathy) {
  damage_each({{"dataset_x.json",
                R"({"images": [{"filename": "a.jpg", "split": "train", "imgid": 0, "sentences": [{"tokens": ["a"],)"
                R"("raw": "A cat."}, {"raw": "Two."}]}], "dataset": "x"})"},
               {"images/a.jpg", small_jpeg()}},
              "karpathy");
}

TEST(CorruptData, CaptionTable) {
  damage_each({{"captions_train.tsv", "image\tcaption\na.jpg\tA cat .\na.jpg#1\tTwo .\n"},
               {"captions_val.csv", "image,caption\na.jpg,\"A, \"\"b\"\"\"\n"},
               {"images/a.jpg", small_jpeg()}},
              "caption_table");
}

TEST(CorruptData, ImageFolder) { damage_each({{"c/a.jpg", small_jpeg()}, {"d/b.jpg", small_jpeg()}}, "image_folder"); }

}  // namespace
}  // namespace datasets
