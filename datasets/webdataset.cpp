// WebDataset (https://github.com/webdataset/webdataset): tar shards in which the files of an example follow each other
// and share their name up to its first dot: "0001.jpg", "0001.cls". The picture is the file with a picture's ending,
// the label the text of .cls (or .cls.txt, .label), or the field "label" (or "cls") of .json. Shards are indexed when
// they are opened, and read at random. Compressed shards are refused.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "datasets/data_file.h"
#include "datasets/format.h"
#include "datasets/label_table.h"
#include "datasets/shards.h"
#include "datasets/tar.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/core/parallel.h"
#include "vit/io/json.h"
#include "vit/media/source.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxLabelBytes = 4096;
constexpr int64_t kMaxJsonBytes = int64_t{16} << 20;
constexpr int64_t kMaxPictureBytes = int64_t{1} << 31;

/// A name's key (folder and name up to its first dot) and the ending behind that dot, in lower case.
std::pair<std::string, std::string> split_name(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == std::string::npos ? 0 : slash + 1);
  if (dot == std::string::npos) return {name, {}};
  std::string ending = name.substr(dot + 1);
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return {name.substr(0, dot), ending};
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string::npos ? std::string() : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// The files of one example, as they are met.
struct Example {
  std::string key;
  std::optional<TarMember> picture, label, json;
  std::vector<std::string> others;
};

bool is_label(const std::string& ending) { return ending == "cls" || ending == "cls.txt" || ending == "label"; }

/// A label's text. Errors (usage): too long, no JSON, no such field.
std::string read_label(const DataFile& shard, const Example& example) {
  const TarMember& member = example.label ? *example.label : *example.json;
  const std::string place = shard.path() + "/" + member.name;
  const int64_t limit = example.label ? kMaxLabelBytes : kMaxJsonBytes;
  if (member.size > limit)
    vit::fail_usage(place, " (byte ", member.offset, "): ", member.size, " bytes, at most ", limit, " are read");
  const std::string text = shard.read(member.offset, member.size);
  if (example.label) return trimmed(text);
  const nlohmann::json parsed = vit::parse_json(text, place, {.max_bytes = kMaxJsonBytes});
  const vit::JsonObject fields(parsed, place);
  for (const char* key : {"label", "cls"}) {
    const nlohmann::json* value = fields.find(key);
    if (!value) continue;
    if (value->is_number_integer()) return value->dump();
    if (value->is_string()) return trimmed(value->get<std::string>());
    fields.refuse(key, "a class's number or name");
  }
  fields.refuse("label", "a class's number or name");
}

/// What one shard holds: pictures with the text of their labels.
struct ShardIndex {
  std::vector<TarMember> pictures;
  std::vector<std::string> labels, skipped;
};

class ShardReader {
 public:
  /// Errors (usage): the shard cannot be read.
  explicit ShardReader(const std::string& path) : file_(DataFile::open(path)) {}

  /// Errors (usage): a damaged archive, a label that cannot be read, two pictures of one example.
  ShardIndex read() {
    for (TarMember& member : list_tar(file_)) {
      auto [key, ending] = split_name(member.name);
      if (key != example_.key) {
        finish_example();
        example_ = {};
        example_.key = std::move(key);
      }
      std::optional<TarMember>* slot = nullptr;
      if (vit::has_image_extension(member.name)) slot = &example_.picture;
      if (is_label(ending)) slot = &example_.label;
      if (ending == "json") slot = &example_.json;
      if (slot && slot->has_value())
        vit::fail_usage(file_.path(), ": byte ", member.offset, ": '", member.name, "' and '", (*slot)->name,
                        "' are of one example");
      if (slot)
        *slot = std::move(member);
      else
        example_.others.push_back(std::move(member.name));
    }
    finish_example();
    return std::move(index_);
  }

 private:
  /// Takes an example that has what it needs; the files of others are skipped.
  void finish_example() {
    if (example_.picture && (example_.label || example_.json)) {
      index_.labels.push_back(read_label(file_, example_));
      index_.pictures.push_back(std::move(*example_.picture));
      return;  // captions, masks and the like beside a picture are nothing to report
    }
    for (const auto* member : {&example_.picture, &example_.label, &example_.json})
      if (member->has_value()) index_.skipped.push_back((*member)->name);
    for (std::string& name : example_.others) index_.skipped.push_back(std::move(name));
  }

  DataFile file_;
  Example example_;
  ShardIndex index_;
};

class WebDataset : public Dataset {
 public:
  /// Errors (usage): a shard that cannot be read, no example with picture and label.
  WebDataset(std::vector<std::string> shards, const std::string& name, const vit::DecodeOptions& decode)
      : shards_(std::move(shards)), decode_(decode) {
    std::vector<ShardIndex> indices(shards_.size());
    vit::parallel_try(static_cast<int64_t>(shards_.size()), [&](int64_t shard) {
      indices[static_cast<size_t>(shard)] = ShardReader(shards_[static_cast<size_t>(shard)]).read();
    });
    LabelTableBuilder labels;
    for (size_t shard = 0; shard < indices.size(); ++shard) {
      for (size_t i = 0; i < indices[shard].pictures.size(); ++i) {
        labels.add(indices[shard].labels[i], shards_[shard] + "/" + indices[shard].pictures[i].name);
        items_.push_back({shard, std::move(indices[shard].pictures[i])});
      }
      for (const std::string& file : indices[shard].skipped) skipped_.push_back(shards_[shard] + "/" + file);
      indices[shard] = {};
    }
    if (items_.empty())
      vit::fail_usage("data ", name, ": no example with a picture and a label (.cls or .json) in ", shards_.size(),
                      " shards", skipped_.empty() ? "" : "; they hold files such as " + vit::joined(skipped_, 3),
                      "; packed folders of pictures are to be unpacked");
    table_ = labels.finish();
  }

  int64_t size() const override { return static_cast<int64_t>(items_.size()); }
  const std::vector<std::string>& class_names() const override { return table_.names; }
  int64_t label(int64_t index) const override { return table_.labels.at(static_cast<size_t>(index)); }
  std::string source(int64_t index) const override {
    const Item& item = items_.at(static_cast<size_t>(index));
    return shards_[item.shard] + "/" + item.picture.name;
  }
  std::string encoded(int64_t index) const override {
    const Item& item = items_.at(static_cast<size_t>(index));
    vit::check(item.picture.size <= kMaxPictureBytes, source(index), ": a file of ", item.picture.size,
               " bytes, at most ", kMaxPictureBytes, " are read");
    // Opened each time: there may be more shards than a process may have files.
    return DataFile::open(shards_[item.shard]).read(item.picture.offset, item.picture.size);
  }
  vit::Image load(int64_t index) const override {
    const std::string bytes = encoded(index);
    return vit::decode_image(std::as_bytes(std::span(bytes)), source(index), decode_);
  }
  std::vector<std::string> skipped() const override { return skipped_; }

 private:
  struct Item {
    size_t shard = 0;
    TarMember picture;
  };

  std::vector<std::string> shards_;
  vit::DecodeOptions decode_;
  std::vector<Item> items_;
  LabelTable table_;
  std::vector<std::string> skipped_;
};

/// Splits that the shards' names say. Empty unless every shard says one.
std::vector<std::string> splits_of(const std::vector<std::string>& shards) {
  std::vector<std::string> said, splits;
  for (const std::string& shard : shards) said.push_back(split_of_shard(shard));
  if (std::find(said.begin(), said.end(), "") != said.end()) return {};
  for (const std::string& known : known_splits())
    if (std::find(said.begin(), said.end(), known) != said.end()) splits.push_back(known);
  return splits;
}

OpenedDataset open_webdataset(const DatasetRequest& request) {
  std::vector<std::string> shards = find_shards(request.path);
  const std::vector<std::string> splits = splits_of(shards);
  // Who names shards of one split only has chosen.
  std::string split =
      splits.size() == 1 && request.split.empty() ? splits.front() : choose_split(splits, request.split, request.path);
  if (!split.empty()) std::erase_if(shards, [&](const std::string& shard) { return split_of_shard(shard) != split; });
  OpenedDataset opened{.root = request.path, .split = std::move(split)};
  opened.data = std::make_shared<WebDataset>(std::move(shards), request.path, request.decode);
  return opened;
}

bool recognises_webdataset(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    try {
      return !find_shards(path).empty();
    } catch (const vit::Error&) {
      return false;
    }
  }
  const bool is_pattern = path.find_first_of("{*?[") != std::string::npos;
  return path.ends_with(".tar") && (is_pattern || fs::is_regular_file(path, error));
}

}  // namespace

VITKIT_REGISTER_DATASET("webdataset",
                        DatasetFormat{.summary = "tar shards of pictures with .cls or .json: 'train-{000..099}.tar'",
                                      .aliases = {"wds"},
                                      .order = 30,
                                      .recognises = recognises_webdataset,
                                      .splits = [](const std::string& path) { return splits_of(find_shards(path)); },
                                      .open = open_webdataset});

}  // namespace datasets
