// MNIST and its relatives (Fashion-MNIST, KMNIST, EMNIST) in the idx format (LeCun, http://yann.lecun.com/exdb/mnist):
// two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as four big-endian bytes, then
// the data by rows. Files may be gzip-compressed. Grey pictures are replicated to three channels.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "datasets/data_file.h"
#include "datasets/format.h"
#include "vit/core/check.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

constexpr unsigned char kUnsignedByte = 8;
constexpr int64_t kMaxPictures = 100'000'000;

/// The two files of one split.
struct Pair {
  std::string split, images, labels;  // split: "train" or "test"
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.rfind(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// The name of the labels' file beside "train-images-idx3-ubyte.gz", with and without ".gz"; empty when there is none.
std::string labels_beside(const fs::path& images) {
  std::string name = replaced(replaced(images.filename().string(), "images", "labels"), "idx3", "idx1");
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  std::error_code error;
  for (const std::string& ending : {std::string(), std::string(".gz")})
    if (const fs::path path = images.parent_path() / (name + ending); fs::is_regular_file(path, error))
      return path.string();
  return {};
}

/// Pairs in one folder, sorted by name.
std::vector<Pair> pairs_in(const fs::path& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entries(dir, error); !error && entries != fs::directory_iterator();
       entries.increment(error))
    names.push_back(entries->path().filename().string());
  std::sort(names.begin(), names.end());
  std::vector<Pair> pairs;
  for (const std::string& name : names) {
    if (!contains(name, "images") || !contains(name, "idx3")) continue;
    // Both an unpacked file and its archive: the file counts.
    if (name.ends_with(".gz") && std::binary_search(names.begin(), names.end(), name.substr(0, name.size() - 3)))
      continue;
    const std::string labels = labels_beside(dir / name);
    if (!labels.empty()) pairs.push_back({contains(name, "train") ? "train" : "test", (dir / name).string(), labels});
  }
  return pairs;
}

/// Pairs in the given folder, or where torchvision puts them below it.
std::vector<Pair> find_pairs(const std::string& path) {
  for (const fs::path& dir : {fs::path(path), fs::path(path) / "raw", fs::path(path) / "MNIST" / "raw",
                              fs::path(path) / "FashionMNIST" / "raw"})
    if (std::vector<Pair> pairs = pairs_in(dir); !pairs.empty()) return pairs;
  return {};
}

std::vector<std::string> splits_of(const std::vector<Pair>& pairs) {
  std::vector<std::string> splits;
  for (const char* split : {"train", "test"})
    if (std::any_of(pairs.begin(), pairs.end(), [&](const Pair& pair) { return pair.split == split; }))
      splits.emplace_back(split);
  return splits;
}

/// An idx file's dimensions and where its data begin.
struct IdxHeader {
  std::vector<int64_t> dims;
  int64_t data_at = 0;
};

/// Errors (usage): no idx file of bytes, other dimensions than allowed, more or fewer bytes than they say.
IdxHeader read_header(const DataFile& file, size_t min_dims, size_t max_dims) {
  if (file.size() < 4) vit::fail_usage(file.path(), ": truncated: ", file.size(), " bytes are no idx header");
  const std::string magic = file.read(0, 4);
  const auto dims = static_cast<size_t>(static_cast<unsigned char>(magic[3]));
  if (magic[0] != 0 || magic[1] != 0) vit::fail_usage(file.path(), ": no idx file: it does not begin with two zeros");
  if (static_cast<unsigned char>(magic[2]) != kUnsignedByte)
    vit::fail_usage(file.path(), ": idx data of type ", static_cast<int>(static_cast<unsigned char>(magic[2])),
                    " at byte 2, expected 8 (unsigned bytes)");
  if (dims < min_dims || dims > max_dims)
    vit::fail_usage(file.path(), ": ", dims, " dimensions at byte 3, expected ", min_dims,
                    max_dims > min_dims ? vit::str(" to ", max_dims) : "");
  IdxHeader header;
  header.data_at = 4 + 4 * static_cast<int64_t>(dims);
  if (file.size() < header.data_at) vit::fail_usage(file.path(), ": truncated: the idx header is not complete");
  int64_t bytes = 1;
  for (size_t i = 0; i < dims; ++i) {
    int64_t dim = 0;
    for (const char c : file.read(4 + 4 * static_cast<int64_t>(i), 4)) dim = dim << 8 | static_cast<unsigned char>(c);
    // Divided, not multiplied: no overflow.
    if (dim == 0 || dim > file.size() / bytes)
      vit::fail_usage(file.path(), ": dimension ", i, " at byte ", 4 + 4 * i, " is ", dim, ", but there are only ",
                      file.size() - header.data_at, " bytes of data");
    bytes *= dim;
    header.dims.push_back(dim);
  }
  if (file.size() - header.data_at != bytes)
    vit::fail_usage(file.path(), ": ", file.size() - header.data_at, " bytes of data, the header says ", bytes);
  return header;
}

class IdxDataset : public Dataset {
 public:
  /// Errors (usage): as read_header; unequal numbers; pictures above the limit.
  IdxDataset(const Pair& pair, const vit::DecodeOptions& decode)
      : images_(DataFile::open(pair.images, DataFile::Gzip::inflate)), header_(read_header(images_, 3, 4)) {
    const DataFile file = DataFile::open(pair.labels, DataFile::Gzip::inflate);
    const IdxHeader labels = read_header(file, 1, 1);
    if (labels.dims[0] != header_.dims[0])
      vit::fail_usage(pair.labels, ": ", labels.dims[0], " labels, but ", header_.dims[0], " pictures in ",
                      pair.images);
    if (labels.dims[0] > kMaxPictures)
      vit::fail_usage(pair.labels, ": ", labels.dims[0], " labels, at most ", kMaxPictures, " are read");
    channels_ = header_.dims.size() == 4 ? header_.dims[3] : 1;
    if (channels_ != 1 && channels_ != 3)
      vit::fail_usage(pair.images, ": ", channels_, " channels at byte 16, expected 1 or 3");
    if (header_.dims[1] > decode.max_pixels / header_.dims[2])
      vit::fail_usage(pair.images, ": ", header_.dims[2], " x ", header_.dims[1], " pixels, more than the limit of ",
                      decode.max_pixels, " pixels");
    labels_ = file.read(labels.data_at, labels.dims[0]);
    const auto largest =
        std::max_element(labels_.begin(), labels_.end(), [](unsigned char a, unsigned char b) { return a < b; });
    for (int i = 0; i <= static_cast<unsigned char>(*largest); ++i) names_.push_back(std::to_string(i));
  }

  int64_t size() const override { return header_.dims[0]; }
  const std::vector<std::string>& class_names() const override { return names_; }
  int64_t label(int64_t index) const override {
    return static_cast<unsigned char>(labels_.at(static_cast<size_t>(index)));
  }
  std::string source(int64_t index) const override { return vit::str(images_.path(), "#", index); }
  vit::Image load(int64_t index) const override {
    vit::check(index >= 0 && index < size(), images_.path(), ": picture ", index, " of ", size());
    const int64_t pixels = header_.dims[1] * header_.dims[2];
    vit::Image image(header_.dims[1], header_.dims[2]);
    const std::string bytes = images_.read(header_.data_at + index * pixels * channels_, pixels * channels_);
    if (channels_ == 3) {
      std::memcpy(image.row(0), bytes.data(), bytes.size());
      return image;
    }
    uint8_t* out = image.row(0);
    for (const char grey : bytes)
      for (int channel = 0; channel < 3; ++channel) *out++ = static_cast<uint8_t>(grey);
    return image;
  }

 private:
  DataFile images_;
  IdxHeader header_;
  int64_t channels_ = 1;
  std::string labels_;  // a byte each
  std::vector<std::string> names_;
};

OpenedDataset open_idx(const DatasetRequest& request) {
  const std::vector<Pair> pairs = find_pairs(request.path);
  if (pairs.empty())
    vit::fail_usage(
        "data ", request.path,
        ": expected idx files in it, such as train-images-idx3-ubyte(.gz) with train-labels-idx1-ubyte(.gz)");
  const std::string split = choose_split(splits_of(pairs), request.split, request.path);
  const Pair* chosen = nullptr;
  for (const Pair& pair : pairs) {
    if (pair.split != split) continue;
    if (chosen)
      vit::fail_usage("data ", request.path, ": both ", chosen->images, " and ", pair.images, " are a ", split,
                      " split; put each set into a folder of its own");
    chosen = &pair;
  }
  OpenedDataset opened{.root = chosen->images, .split = split};
  opened.data = std::make_shared<IdxDataset>(*chosen, request.decode);
  return opened;
}

}  // namespace

VITKIT_REGISTER_DATASET("idx",
                        DatasetFormat{.summary = "MNIST's idx files, gzip-compressed or not",
                                      .aliases = {"mnist", "fashion_mnist"},
                                      .order = 20,
                                      .recognises = [](const std::string& path) { return !find_pairs(path).empty(); },
                                      .splits = [](const std::string& path) { return splits_of(find_pairs(path)); },
                                      .open = open_idx});

}  // namespace datasets
