// CIFAR-10 and CIFAR-100 in their binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of one or two
// label bytes and 3,072 bytes of planes, red, green, blue, each 32 x 32 by rows. CIFAR-100's first label is the coarse
// one; the fine one is used.
#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <utility>

#include "datasets/data_file.h"
#include "datasets/format.h"
#include "vit/core/check.h"
#include "vit/core/file.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kPlane = kSide * kSide;
constexpr int64_t kRecordsPerRead = 1024;

struct Layout {
  const char* name;
  const char* subfolder;    // as the archive unpacks
  const char* python_file;  // of the version that this is not
  std::vector<std::string> train_files, test_files;
  const char* names_file;
  int64_t classes, label_bytes;  // the last label byte is the one
  int64_t record_bytes() const { return label_bytes + 3 * kPlane; }
};

const Layout& cifar10() {
  static const Layout layout{
      "cifar10",
      "cifar-10-batches-bin",
      "data_batch_1",
      {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
      {"test_batch.bin"},
      "batches.meta.txt",
      10,
      1};
  return layout;
}

const Layout& cifar100() {
  static const Layout layout{
      "cifar100", "cifar-100-binary", "fine_label_names", {"train.bin"}, {"test.bin"}, "fine_label_names.txt", 100, 2};
  return layout;
}

/// Those of the files that are in the folder.
std::vector<std::string> present(const fs::path& dir, const std::vector<std::string>& files) {
  std::vector<std::string> found;
  std::error_code error;
  for (const std::string& file : files)
    if (fs::is_regular_file(dir / file, error)) found.push_back(file);
  return found;
}

/// The folder that holds the files: the given one, or the archive's below it. Empty when neither does.
fs::path find_folder(const Layout& layout, const std::string& path) {
  for (const fs::path& dir : {fs::path(path), fs::path(path) / layout.subfolder})
    if (!present(dir, layout.train_files).empty() || !present(dir, layout.test_files).empty()) return dir;
  return {};
}

std::vector<std::string> splits_in(const Layout& layout, const fs::path& dir) {
  std::vector<std::string> splits;
  if (!present(dir, layout.train_files).empty()) splits.emplace_back("train");
  if (!present(dir, layout.test_files).empty()) splits.emplace_back("test");
  return splits;
}

/// The names' file, or numbers where there is none. Errors (usage): another number of names.
std::vector<std::string> read_names(const Layout& layout, const fs::path& dir) {
  std::vector<std::string> names;
  const fs::path path = dir / layout.names_file;
  std::error_code error;
  if (!fs::exists(path, error)) {
    for (int64_t i = 0; i < layout.classes; ++i) names.push_back(std::to_string(i));
    return names;
  }
  std::string name;
  for (const char c : vit::read_file(path, int64_t{1} << 16) + "\n") {
    if (c != '\n' && c != '\r') {
      name += c;
    } else if (!name.empty()) {
      names.push_back(std::exchange(name, {}));
    }
  }
  if (static_cast<int64_t>(names.size()) != layout.classes)
    vit::fail_usage(path.string(), ": ", names.size(), " class names, expected ", layout.classes);
  return names;
}

class CifarDataset : public Dataset {
 public:
  /// Errors (usage): a file that is no whole number of records, or cannot be read.
  CifarDataset(const Layout& layout, const fs::path& dir, const std::vector<std::string>& files)
      : layout_(layout), names_(read_names(layout, dir)) {
    for (const std::string& file : files) add_file((dir / file).string());
  }

  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }
  const std::vector<std::string>& class_names() const override { return names_; }
  int64_t label(int64_t index) const override { return labels_.at(static_cast<size_t>(index)); }
  std::string source(int64_t index) const override {
    const auto [file, record] = locate(index);
    return vit::str(files_[file].path(), "#", record);
  }
  vit::Image load(int64_t index) const override {
    const auto [file, record] = locate(index);
    std::array<std::byte, 3 * kPlane> planes;
    files_[file].read(record * layout_.record_bytes() + layout_.label_bytes, planes);
    vit::Image image(kSide, kSide);
    auto* pixels = reinterpret_cast<std::byte*>(image.row(0));
    for (size_t i = 0; i < kPlane; ++i)
      for (size_t channel = 0; channel < 3; ++channel) pixels[3 * i + channel] = planes[kPlane * channel + i];
    return image;
  }

 private:
  void add_file(const std::string& path) {
    const DataFile file = DataFile::open(path);
    const int64_t bytes = layout_.record_bytes();
    const int64_t records = file.size() / bytes;
    if (records * bytes != file.size() || records == 0)
      vit::fail_usage(path, ": ", file.size(), " bytes, expected a multiple of ", bytes, "; record ", records,
                      " at byte ", records * bytes, " is not complete: unpack the archive anew");
    for (int64_t first = 0; first < records; first += kRecordsPerRead) {
      const int64_t count = std::min(kRecordsPerRead, records - first);
      const std::string chunk = file.read(first * bytes, count * bytes);
      for (int64_t i = 0; i < count; ++i)
        labels_.push_back(static_cast<uint8_t>(chunk[static_cast<size_t>(i * bytes + layout_.label_bytes - 1)]));
    }
    files_.push_back(file);
    ends_.push_back(size());
  }

  /// File and record in it of a picture.
  std::pair<size_t, int64_t> locate(int64_t index) const {
    vit::check(index >= 0 && index < size(), layout_.name, ": picture ", index, " of ", size());
    const auto file = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    return {file, index - (file > 0 ? ends_[file - 1] : 0)};
  }

  const Layout& layout_;
  std::vector<std::string> names_;
  std::vector<DataFile> files_;
  std::vector<int64_t> ends_;  // number of pictures up to and with each file
  std::vector<uint8_t> labels_;
};

OpenedDataset open_cifar(const Layout& layout, const DatasetRequest& request) {
  const fs::path dir = find_folder(layout, request.path);
  if (dir.empty()) {
    std::error_code error;
    const bool python = fs::exists(fs::path(request.path) / layout.python_file, error);
    vit::fail_usage("data ", request.path, ": there is no ", layout.train_files.front(), " or ",
                    layout.test_files.front(), " in it",
                    python ? "; this seems to be the python version: take the binary version" : "");
  }
  const std::string split = choose_split(splits_in(layout, dir), request.split, request.path);
  const std::vector<std::string>& wanted = split == "train" ? layout.train_files : layout.test_files;
  const std::vector<std::string> files = present(dir, wanted);
  if (files.size() != wanted.size())
    vit::fail_usage("data ", dir.string(), ": ", files.size(), " of the ", wanted.size(), " files ", wanted.front(),
                    " to ", wanted.back(), " are there: unpack the archive anew");
  OpenedDataset opened{.root = dir.string(), .split = split};
  opened.data = std::make_shared<CifarDataset>(layout, dir, files);
  return opened;
}

DatasetFormat format_of(const Layout& layout, const std::string& summary, std::vector<std::string> aliases) {
  return {.summary = summary,
          .aliases = std::move(aliases),
          .order = 10,
          .recognises = [&layout](const std::string& path) { return !find_folder(layout, path).empty(); },
          .splits = [&layout](const std::string& path) { return splits_in(layout, find_folder(layout, path)); },
          .open = [&layout](const DatasetRequest& request) { return open_cifar(layout, request); }};
}

}  // namespace

VITKIT_REGISTER_DATASET("cifar10", format_of(cifar10(), "CIFAR-10, binary version: data_batch_*.bin", {"cifar-10"}));
VITKIT_REGISTER_DATASET("cifar100", format_of(cifar100(), "CIFAR-100, binary version: train.bin", {"cifar-100"}));

}  // namespace datasets
