#include "datasets/class_map.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <unordered_map>
#include <utility>

#include "datasets/box_view.h"
#include "datasets/label_check.h"
#include "vit/core/check.h"
#include "vit/core/config_node.h"
#include "vit/core/file.h"
#include "vit/core/names.h"

namespace datasets {

namespace {

constexpr int64_t kMaxBytes = int64_t{64} << 20;
constexpr vit::ConfigLimits kYamlLimits{.max_bytes = kMaxBytes, .max_depth = 4, .max_nodes = 4'000'000};
constexpr int64_t kNoClass = -1;

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::vector<std::string> read_lines(const std::string& path) {
  const std::string text = vit::read_file(path, kMaxBytes);
  std::vector<std::string> names;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.pop_back();
    names.push_back(std::move(line));
    at = end + 1;
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

/// Puts names in the order of their numbers. Errors (usage): not 0 to K - 1, each once.
std::vector<std::string> ordered(const std::vector<std::pair<std::string, std::string>>& names_and_numbers,
                                 const std::string& path) {
  std::vector<std::string> names(names_and_numbers.size());
  std::vector<bool> taken(names.size());
  for (const auto& [name, text] : names_and_numbers) {
    const std::optional<int64_t> number = whole_number(text);
    if (!number || *number >= static_cast<int64_t>(names.size()))
      vit::fail_usage(path, ": '", name, "' has the number '", text, "', expected 0 to ", names.size() - 1);
    const auto at = static_cast<size_t>(*number);
    if (taken[at]) vit::fail_usage(path, ": '", names[at], "' and '", name, "' are both class ", at);
    taken[at] = true;
    names[at] = name;
  }
  return names;
}

std::vector<std::string> read_yaml(const std::string& path) {
  const vit::ConfigNode root = vit::ConfigNode::load(path, {}, kYamlLimits);
  std::vector<std::string> names;
  if (root.is_list()) {
    for (const vit::ConfigNode& item : root.items()) {
      if (!item.is_scalar()) item.refuse("expected a class name, got " + item.description());
      names.push_back(item.text());
    }
    return names;
  }
  if (!root.is_map()) root.refuse("expected a list of names or a map of names and numbers, got " + root.description());
  const std::vector<std::string> keys = root.keys();
  const bool by_number = std::all_of(keys.begin(), keys.end(), [](const auto& key) { return whole_number(key); });
  std::vector<std::pair<std::string, std::string>> entries;
  for (const std::string& key : keys) {
    const vit::ConfigNode value = root.get(key);
    if (!value.is_scalar()) value.refuse("expected a name and a number, got " + value.description());
    entries.emplace_back(by_number ? value.text() : key, by_number ? key : value.text());
  }
  return ordered(entries, path);
}

/// Which classes there are pictures, or boxes, of.
std::vector<bool> used_classes(const Dataset& data) {
  std::vector<bool> used(data.class_names().size());
  const auto note = [&](int64_t label) {
    if (label >= 0 && label < static_cast<int64_t>(used.size())) used[static_cast<size_t>(label)] = true;
  };
  const auto* boxes = has_boxes_only(data) ? dynamic_cast<const BoxDataset*>(&data) : nullptr;
  for (int64_t i = 0; i < data.size(); ++i) {
    note(data.label(i));
    if (!boxes) continue;
    for (const BoxAnnotation& box : boxes->boxes(i)) note(box.label);
  }
  return used;
}

class MappedDataset : public Dataset {
 public:
  MappedDataset(std::shared_ptr<const Dataset> data, std::vector<std::string> names, std::vector<int64_t> classes)
      : data_(std::move(data)), names_(std::move(names)), classes_(std::move(classes)) {}

  int64_t size() const override { return data_->size(); }
  const std::vector<std::string>& class_names() const override { return names_; }
  int64_t label(int64_t index) const override {
    const int64_t own = data_->label(index);
    return own >= 0 && own < static_cast<int64_t>(classes_.size()) ? classes_[static_cast<size_t>(own)] : kNoClass;
  }
  std::string source(int64_t index) const override { return data_->source(index); }
  vit::Image load(int64_t index) const override { return data_->load(index); }
  std::string encoded(int64_t index) const override { return data_->encoded(index); }
  std::vector<std::string> skipped() const override { return data_->skipped(); }

 private:
  std::shared_ptr<const Dataset> data_;
  std::vector<std::string> names_;
  std::vector<int64_t> classes_;  // of each of the data set's own
};

}  // namespace

std::vector<std::string> read_class_map(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  const bool is_yaml = ending == ".yaml" || ending == ".yml" || ending == ".json";
  std::vector<std::string> names = is_yaml ? read_yaml(path) : read_lines(path);
  if (names.empty()) vit::fail_usage(path, ": there is no class name in it");
  std::unordered_map<std::string, size_t> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) vit::fail_usage(path, ": the name of class ", i, " is empty");
    if (const auto [other, is_new] = seen.emplace(names[i], i); !is_new)
      vit::fail_usage(path, ": '", names[i], "' is class ", other->second, " and class ", i);
  }
  return names;
}

std::shared_ptr<const Dataset> map_dataset_classes(std::shared_ptr<const Dataset> data, std::vector<std::string> names,
                                                   const std::string& where) {
  std::unordered_map<std::string, int64_t> index;
  for (size_t i = 0; i < names.size(); ++i) index.emplace(names[i], static_cast<int64_t>(i));
  const std::vector<std::string>& own = data->class_names();
  std::vector<int64_t> classes(own.size(), kNoClass);
  bool any_found = false, all_numbers = true;
  for (size_t i = 0; i < own.size(); ++i) {
    const auto found = index.find(own[i]);
    if (found != index.end()) classes[i] = found->second;
    any_found |= found != index.end();
    all_numbers &= whole_number(own[i]) == static_cast<int64_t>(i);
  }
  if (!any_found && all_numbers) {
    for (size_t i = 0; i < own.size(); ++i) classes[i] = i < names.size() ? static_cast<int64_t>(i) : kNoClass;
  } else {
    const std::vector<bool> used = used_classes(*data);
    std::vector<std::string> missing;
    for (size_t i = 0; i < own.size(); ++i)
      if (classes[i] == kNoClass && used[i]) missing.push_back(own[i]);
    if (!missing.empty())
      vit::fail_usage("data: classes that are not in ", where, ": ", vit::joined(missing, 20),
                      "; correct their names, or leave their pictures out");
  }
  if (auto boxes = std::dynamic_pointer_cast<const BoxDataset>(data))
    return map_boxes(std::move(boxes), std::move(names), std::move(classes));
  return std::make_shared<MappedDataset>(std::move(data), std::move(names), std::move(classes));
}

}  // namespace datasets
