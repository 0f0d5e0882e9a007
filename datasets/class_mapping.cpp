#include "datasets/class_mapping.h"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/models/labels.h"

namespace datasets {

namespace {

constexpr int64_t kImageNetClasses = 1000;
constexpr int64_t kAmbiguous = -1;

/// "n01440764"
bool looks_like_wnid(const std::string& name) {
  return name.size() == 9 && name[0] == 'n' &&
         std::all_of(name.begin() + 1, name.end(), [](unsigned char c) { return std::isdigit(c); });
}

std::string normalised(std::string name) {
  for (char& c : name) c = c == '_' || c == '-' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

/// Labels by normalised name, and by their first synonym where no other label has it.
class LabelIndex {
 public:
  explicit LabelIndex(const vit::ClassLabels& labels) : labels_(labels) {
    for (int64_t i = 0; i < labels.size(); ++i) add(normalised(labels.name(i)), i);
    for (int64_t i = 0; i < labels.size(); ++i) {
      const std::string name = normalised(labels.name(i));
      if (const size_t comma = name.find(','); comma != std::string::npos) add(name.substr(0, comma), i);
    }
  }

  std::optional<int64_t> find(const std::string& name) const {
    if (const std::optional<int64_t> exact = labels_.find(name)) return exact;
    const auto found = index_.find(normalised(name));
    if (found == index_.end() || found->second == kAmbiguous) return std::nullopt;
    return found->second;
  }

 private:
  void add(const std::string& name, int64_t index) {
    const auto [entry, is_new] = index_.emplace(name, index);
    if (!is_new && entry->second != index) entry->second = kAmbiguous;
  }

  const vit::ClassLabels& labels_;
  std::unordered_map<std::string, int64_t> index_;
};

/// The class of each name by `find`; -1 where it knows none. Errors (usage): two names are one class.
template <class Find>
std::vector<int64_t> find_each(const std::vector<std::string>& names, const Find& find) {
  std::vector<int64_t> classes;
  std::unordered_map<int64_t, std::string> taken;
  for (const std::string& name : names) {
    const std::optional<int64_t> index = find(name);
    classes.push_back(index.value_or(-1));
    if (!index) continue;
    if (const auto [other, is_new] = taken.emplace(*index, name); !is_new)
      vit::fail_usage("data: the classes '", other->second, "' and '", name, "' are both class ", *index);
  }
  return classes;
}

/// The mapping by `find`, if it knows any name. Errors (usage): it knows some of them only, or two are one class.
template <class Find>
std::optional<ClassMapping> map_by(MappingRule rule, const std::vector<std::string>& names, const Find& find) {
  ClassMapping mapping{.rule = rule, .classes = find_each(names, find)};
  std::vector<std::string> unknown;
  for (size_t i = 0; i < names.size(); ++i)
    if (mapping.classes[i] < 0) unknown.push_back(names[i]);
  if (unknown.size() == names.size()) return std::nullopt;
  if (!unknown.empty())
    vit::fail_usage("data: ", names.size() - unknown.size(), " classes of the data map to the model's classes by ",
                    name_of(rule), ", but ", unknown.size(), " do not: ", vit::joined(unknown, 20));
  return mapping;
}

}  // namespace

const char* name_of(MappingRule rule) {
  switch (rule) {
    case MappingRule::wnid:
      return "wnid";
    case MappingRule::name:
      return "name";
    case MappingRule::rank:
      return "rank";
  }
  return "";
}

ClassMapping map_classes(const std::vector<std::string>& names, const vit::ClassLabels& labels) {
  if (labels.size() == kImageNetClasses && std::any_of(names.begin(), names.end(), looks_like_wnid))
    if (auto mapping = map_by(MappingRule::wnid, names, vit::imagenet_index_of_wnid)) return *mapping;
  const LabelIndex index(labels);
  const auto by_name = [&](const std::string& name) { return index.find(name); };
  if (auto mapping = map_by(MappingRule::name, names, by_name)) return *mapping;
  if (static_cast<int64_t>(names.size()) > labels.size())
    vit::fail_usage("data: there are ", names.size(), " classes, but the model has ", labels.size(),
                    " classes; the first are ", vit::joined(names, 5));
  ClassMapping mapping{.rule = MappingRule::rank, .classes = std::vector<int64_t>(names.size())};
  std::iota(mapping.classes.begin(), mapping.classes.end(), int64_t{0});
  return mapping;
}

std::vector<int64_t> find_classes(const std::vector<std::string>& names, const vit::ClassLabels& labels) {
  const LabelIndex index(labels);
  return find_each(names, [&](const std::string& name) { return index.find(name); });
}

}  // namespace datasets
