// Several data sets one after another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "datasets/dataset.h"

namespace datasets {

/// The members that every kind of data set has; `Base` is Dataset or a class of its own kind. The parts have the same
/// classes, and there is at least one.
template <class Base>
class Concatenated : public Base {
 public:
  explicit Concatenated(std::vector<std::shared_ptr<const Base>> parts) : parts_(std::move(parts)) {
    for (const auto& part : parts_) ends_.push_back(size() + part->size());
  }

  int64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
  const std::vector<std::string>& class_names() const override { return parts_.front()->class_names(); }
  int64_t label(int64_t index) const override {
    const auto [part, own] = place(index);
    return parts_[part]->label(own);
  }
  std::string source(int64_t index) const override {
    const auto [part, own] = place(index);
    return parts_[part]->source(own);
  }
  vit::Image load(int64_t index) const override {
    const auto [part, own] = place(index);
    return parts_[part]->load(own);
  }
  std::string encoded(int64_t index) const override {
    const auto [part, own] = place(index);
    return parts_[part]->encoded(own);
  }
  std::vector<std::string> skipped() const override {
    std::vector<std::string> all;
    for (const auto& part : parts_) {
      const std::vector<std::string> own = part->skipped();
      all.insert(all.end(), own.begin(), own.end());
    }
    return all;
  }

 protected:
  const std::vector<std::shared_ptr<const Base>>& parts() const { return parts_; }
  /// The part that a picture is in, and its number there.
  std::pair<size_t, int64_t> place(int64_t index) const {
    const auto part = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
    return {part, index - (part == 0 ? 0 : ends_[part - 1])};
  }

 private:
  std::vector<std::shared_ptr<const Base>> parts_;
  std::vector<int64_t> ends_;
};

/// The names of all classes, in the order in which they come first.
std::vector<std::string> all_class_names(const std::vector<std::shared_ptr<const Dataset>>& parts);
/// The position of each of `names` in `all`; -1 where it is not there.
std::vector<int64_t> positions_of(const std::vector<std::string>& names, const std::vector<std::string>& all);

/// Data sets as one, with classes matched by name: one with boxes where all of them have boxes, with
/// captions where all have captions only. Errors: none are given.
std::shared_ptr<const Dataset> concatenate(const std::vector<std::shared_ptr<const Dataset>>& parts);

}  // namespace datasets
