#include "vit/models/labels.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/io/home.h"
#include "vit/io/json.h"

namespace vit {

namespace {

constexpr int64_t kImageNetClasses = 1000;
constexpr int64_t kAmbiguous = -1;
constexpr const char* kImageNetFile = "configs/labels/imagenet1k.tsv";

std::string numbered(int64_t index) { return str("class_", index); }

// ---- ImageNet-1k

struct ImageNet {
  std::vector<std::string> wnids, names;
  std::unordered_map<std::string, int64_t> index_of;
};

/// Lines of "wnid<tab>name" in the order of the classes; lines that start with # are comments.
ImageNet read_imagenet(const std::filesystem::path& path) {
  ImageNet table;
  const std::string text = read_file(path);
  for (size_t begin = 0, line = 1; begin < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (row.empty() || row.front() == '#') continue;
    const size_t tab = row.find('\t');
    if (tab == std::string_view::npos || tab == 0 || tab + 1 == row.size())
      fail_usage(path.string(), ":", line, ": expected a synset, a tab and a name");
    const auto index = static_cast<int64_t>(table.names.size());
    if (!table.index_of.emplace(row.substr(0, tab), index).second)
      fail_usage(path.string(), ":", line, ": synset ", row.substr(0, tab), " occurs twice");
    table.wnids.emplace_back(row.substr(0, tab));
    table.names.emplace_back(row.substr(tab + 1));
  }
  if (static_cast<int64_t>(table.names.size()) != kImageNetClasses)
    fail_usage(path.string(), ": expected ", kImageNetClasses, " classes, got ", table.names.size());
  return table;
}

/// The table, read when first asked for and kept; null while the toolkit's files are not found.
const ImageNet* find_imagenet() {
  const std::filesystem::path path = find_in_home(kImageNetFile);
  if (path.empty()) return nullptr;
  static const ImageNet table = read_imagenet(path);
  return &table;
}

const ImageNet& require_imagenet() {
  if (const ImageNet* table = find_imagenet()) return *table;
  fail_usage("ImageNet-1k's table of labels, ", kImageNetFile, ", is not among the toolkit's files in ",
             home_dir().string());
}

// ---- Names in a config.json

/// A name; numbers count as names ("label_names": [0, 1, 2]).
std::string name_of(const nlohmann::json& value, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  fail_usage(where, ": expected a name, got ", value.type_name());
}

int64_t class_number(const std::string& key, int64_t num_classes, const std::string& where) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
  if (error != std::errc() || end != key.data() + key.size() || number < 0)
    fail_usage(where, ": expected class numbers as keys, got '", key, "'");
  if (number >= num_classes)
    fail_usage(where, ": names class ", number, ", but the model has ", num_classes, " classes (0 to ", num_classes - 1,
               ")");
  return number;
}

/// A map of class numbers to names. Numbers left out have empty names.
std::vector<std::string> names_of_map(const nlohmann::json& map, int64_t num_classes, const std::string& where) {
  std::vector<std::string> names(static_cast<size_t>(num_classes));
  std::vector<bool> seen(names.size());
  for (const auto& [key, value] : map.items()) {
    const auto index = static_cast<size_t>(class_number(key, num_classes, where));
    if (seen[index]) fail_usage(where, ": class ", index, " is named twice");
    seen[index] = true;
    names[index] = name_of(value, str(where, ".", key));
  }
  return names;
}

std::vector<std::string> names_of_list(const nlohmann::json& list, int64_t num_classes, const std::string& where) {
  if (static_cast<int64_t>(list.size()) != num_classes)
    fail_usage(where, ": expected names of the model's ", num_classes, " classes, got ", list.size());
  std::vector<std::string> names;
  for (size_t i = 0; i < list.size(); ++i) names.push_back(name_of(list[i], str(where, "[", i, "]")));
  return names;
}

std::vector<std::string> hugging_face_names(const JsonObject& config, int64_t num_classes) {
  const nlohmann::json& map = config.get_object("id2label").raw();
  const std::string where = config.where("id2label");
  std::vector<std::string> names = names_of_map(map, num_classes, where);
  if (static_cast<int64_t>(map.size()) != num_classes)
    fail_usage(where, ": expected names of the model's ", num_classes, " classes, got ", map.size());
  return names;
}

std::vector<std::string> timm_names(const nlohmann::json& value, int64_t num_classes, const std::string& where) {
  if (value.is_array()) return names_of_list(value, num_classes, where);
  if (value.is_object()) return names_of_map(value, num_classes, where);
  fail_usage(where, ": expected a list of names or a map of class numbers to names, got ", value.type_name());
}

/// The value that timm would use, and where it stands: the top level wins over pretrained_cfg.
struct Found {
  const nlohmann::json* value = nullptr;
  std::string where;
};
Found find_in_timm(const JsonObject& config, const std::string& key) {
  if (config.has(key)) return {config.find(key), config.where(key)};
  const nlohmann::json* inner = config.find("pretrained_cfg");
  if (!inner || !inner->is_object()) return {};
  const JsonObject pretrained = config.get_object("pretrained_cfg");
  return {pretrained.find(key), pretrained.where(key)};
}

/// The readable name behind each key; the key itself where there is none.
std::vector<std::string> described(const JsonObject& config, const std::vector<std::string>& keys) {
  const Found found = find_in_timm(config, "label_descriptions");
  if (!found.value) return keys;
  if (!found.value->is_object())
    fail_usage(found.where, ": expected a map of label names to descriptions, got ", found.value->type_name());
  std::vector<std::string> names;
  for (const std::string& key : keys) {
    const auto entry = found.value->find(key);
    names.push_back(entry == found.value->end() ? key : name_of(*entry, str(found.where, ".", key)));
  }
  return names;
}

}  // namespace

ClassLabels::ClassLabels(std::vector<std::string> names, const std::vector<std::string>& keys, LabelSource source)
    : names_(std::move(names)), source_(source) {
  for (size_t i = 0; i < names_.size(); ++i) {
    index_name(names_[i], static_cast<int64_t>(i));
    if (keys[i] != names_[i]) index_name(keys[i], static_cast<int64_t>(i));
  }
}

void ClassLabels::index_name(const std::string& name, int64_t index) {
  const auto [entry, is_new] = index_of_.emplace(name, index);
  if (!is_new && entry->second != index) entry->second = kAmbiguous;
}

ClassLabels ClassLabels::from_names(std::vector<std::string> names, LabelSource source) {
  const std::vector<std::string> keys = names;
  return ClassLabels(std::move(names), keys, source);
}

ClassLabels ClassLabels::from_checkpoint(const nlohmann::json& config, int64_t num_classes, const std::string& where) {
  const JsonObject json(config, where);
  if (num_classes <= 0) return {};
  if (json.has("id2label")) return from_names(hugging_face_names(json, num_classes));
  for (const char* key : {"label_names", "labels"}) {
    const Found found = find_in_timm(json, key);
    if (!found.value) continue;
    std::vector<std::string> keys = timm_names(*found.value, num_classes, found.where);
    for (size_t i = 0; i < keys.size(); ++i)
      if (keys[i].empty()) keys[i] = numbered(static_cast<int64_t>(i));
    return ClassLabels(described(json, keys), keys, LabelSource::checkpoint);
  }
  const ImageNet* imagenet = num_classes == kImageNetClasses ? find_imagenet() : nullptr;
  if (imagenet) return from_names(imagenet->names, LabelSource::imagenet1k);
  std::vector<std::string> names;
  for (int64_t i = 0; i < num_classes; ++i) names.push_back(numbered(i));
  return from_names(std::move(names), LabelSource::numbers);
}

const std::string& ClassLabels::name(int64_t index) const {
  check(index >= 0 && index < size(), "labels: class ", index, " of ", size());
  return names_[static_cast<size_t>(index)];
}

std::optional<int64_t> ClassLabels::find(const std::string& name) const {
  const auto found = index_of_.find(name);
  if (found == index_of_.end() || found->second == kAmbiguous) return std::nullopt;
  return found->second;
}

const std::string& imagenet_wnid(int64_t index) {
  check(index >= 0 && index < kImageNetClasses, "ImageNet-1k has no class ", index);
  return require_imagenet().wnids[static_cast<size_t>(index)];
}

std::optional<int64_t> imagenet_index_of_wnid(std::string_view wnid) {
  const ImageNet& table = require_imagenet();
  const auto found = table.index_of.find(std::string(wnid));
  if (found == table.index_of.end()) return std::nullopt;
  return found->second;
}

}  // namespace vit
