#include "datasets/confusion.h"

#include <limits>

#include "vit/core/check.h"

namespace datasets {

namespace {

double ratio(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int64_t classes) : classes_(classes) {
  vit::check(classes >= 1, "confusion matrix: expected 1 class or more, got ", classes);
}

void ConfusionMatrix::require_class(int64_t k) const {
  vit::check(k >= 0 && k < classes_, "confusion matrix: class ", k, " of ", classes_);
}

void ConfusionMatrix::add(int64_t target, int64_t predicted) {
  require_class(target);
  require_class(predicted);
  ++counts_[{target, predicted}];
  ++of_target_[target];
  ++of_predicted_[predicted];
}

int64_t ConfusionMatrix::count(int64_t target, int64_t predicted) const {
  require_class(target);
  require_class(predicted);
  const auto found = counts_.find({target, predicted});
  return found == counts_.end() ? 0 : found->second;
}

int64_t ConfusionMatrix::sum_of(const std::map<int64_t, int64_t>& sums, int64_t k) const {
  require_class(k);
  const auto found = sums.find(k);
  return found == sums.end() ? 0 : found->second;
}

double ConfusionMatrix::precision(int64_t k) const { return ratio(count(k, k), predictions(k)); }
double ConfusionMatrix::recall(int64_t k) const { return ratio(count(k, k), pictures(k)); }
double ConfusionMatrix::f1(int64_t k) const { return ratio(2 * count(k, k), pictures(k) + predictions(k)); }

std::vector<ConfusionMatrix::Cell> ConfusionMatrix::cells() const {
  std::vector<Cell> cells;
  for (const auto& [at, count] : counts_) cells.push_back({at.first, at.second, count});
  return cells;
}

ConfusionMatrix::Cell ConfusionMatrix::worst_mistake(int64_t k) const {
  require_class(k);
  Cell worst{.target = k};
  for (auto cell = counts_.lower_bound({k, 0}); cell != counts_.end() && cell->first.first == k; ++cell)
    if (cell->first.second != k && cell->second > worst.count) worst = {k, cell->first.second, cell->second};
  return worst;
}

}  // namespace datasets
