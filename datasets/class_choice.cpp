#include "datasets/class_choice.h"

#include <algorithm>
#include <utility>

#include "datasets/box_view.h"
#include "datasets/class_map.h"
#include "datasets/concat.h"
#include "datasets/split.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace {

using Names = std::vector<std::string>;

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string renamed(const ClassChoice& choice, const std::string& name) {
  const auto found = choice.rename.find(name);
  return found == choice.rename.end() ? name : found->second;
}

Names all_renamed(const ClassChoice& choice, const Names& names) {
  Names result;
  for (const std::string& name : names) result.push_back(renamed(choice, name));
  return result;
}

/// Pictures of one class each.
class Relabelled : public Dataset {
 public:
  Relabelled(std::shared_ptr<const Dataset> data, Names names, std::vector<int64_t> classes)
      : data_(std::move(data)), names_(std::move(names)), classes_(std::move(classes)) {}

  int64_t size() const override { return data_->size(); }
  const Names& class_names() const override { return names_; }
  int64_t label(int64_t index) const override {
    const int64_t own = data_->label(index);
    return own >= 0 && own < static_cast<int64_t>(classes_.size()) ? classes_[static_cast<size_t>(own)] : own;
  }
  std::string source(int64_t index) const override { return data_->source(index); }
  vit::Image load(int64_t index) const override { return data_->load(index); }
  std::string encoded(int64_t index) const override { return data_->encoded(index); }
  Names skipped() const override { return data_->skipped(); }

 private:
  std::shared_ptr<const Dataset> data_;
  Names names_;
  std::vector<int64_t> classes_;
};

}  // namespace

std::shared_ptr<const Dataset> choose_classes(std::shared_ptr<const Dataset> data, const ClassChoice& choice) {
  if (choice.is_empty()) return data;
  const Names own = all_renamed(choice, data->class_names());
  Names names = choice.keep;
  if (names.empty())
    for (const std::string& name : own)
      if (!contains(names, name)) names.push_back(name);
  std::vector<int64_t> classes = positions_of(own, names);
  if (auto boxes = std::dynamic_pointer_cast<const BoxDataset>(data))
    return map_boxes(std::move(boxes), std::move(names), std::move(classes));
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < data->size(); ++i) {
    const int64_t label = data->label(i);
    const bool left_out =
        label >= 0 && label < static_cast<int64_t>(classes.size()) && classes[static_cast<size_t>(label)] < 0;
    if (!left_out) kept.push_back(i);
  }
  auto all = std::make_shared<Relabelled>(std::move(data), std::move(names), std::move(classes));
  return std::make_shared<SubsetDataset>(std::move(all), std::move(kept));
}

void require_known_classes(const ClassChoice& choice, const Names& names, const std::string& where) {
  for (const auto& [from, to] : choice.rename)
    if (!contains(names, from))
      vit::fail_usage("rename_classes: the data ", where, " have no class '", from, "'", vit::did_you_mean(from, names),
                      "; they have ", vit::joined(names, 20));
  const Names wanted = all_renamed(choice, names);
  for (size_t i = 0; i < choice.keep.size(); ++i) {
    const std::string& name = choice.keep[i];
    if (!contains(wanted, name))
      vit::fail_usage("classes: the data ", where, " have no class '", name, "'", vit::did_you_mean(name, wanted),
                      "; they have ", vit::joined(wanted, 20));
    if (std::find(choice.keep.begin(), choice.keep.begin() + static_cast<std::ptrdiff_t>(i), name) !=
        choice.keep.begin() + static_cast<std::ptrdiff_t>(i))
      vit::fail_usage("classes: '", name, "' stands twice");
  }
}

}  // namespace datasets
