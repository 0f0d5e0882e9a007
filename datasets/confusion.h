// Confusion matrix: which class was taken for which, and what follows from the counts.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace datasets {

/// Counts of (true class, predicted class). Only what occurred takes memory, so that a model may have any number of
/// classes.
class ConfusionMatrix {
 public:
  /// Errors: classes below 1.
  explicit ConfusionMatrix(int64_t classes);
  /// One more picture of class `target` that was taken for `predicted`. Errors: one of them is no class.
  void add(int64_t target, int64_t predicted);

  int64_t classes() const { return classes_; }
  int64_t count(int64_t target, int64_t predicted) const;
  /// Pictures of a class, and pictures that were taken for it.
  int64_t pictures(int64_t target) const { return sum_of(of_target_, target); }
  int64_t predictions(int64_t predicted) const { return sum_of(of_predicted_, predicted); }

  /// Share of what was taken for class k that is of class k. NaN: nothing was.
  double precision(int64_t k) const;
  /// Share of the pictures of class k that were taken for k: the class's own top-1. NaN: it has no pictures.
  double recall(int64_t k) const;
  /// 2 hits / (pictures + predictions), the harmonic mean of both. NaN: neither pictures nor predictions.
  double f1(int64_t k) const;

  struct Cell {
    int64_t target = 0, predicted = 0, count = 0;
    bool operator==(const Cell&) const = default;
  };
  /// Cells above zero, by target, then by predicted class.
  std::vector<Cell> cells() const;
  /// The mistake that pictures of class k met most often (of equals the lower class); a count of 0: none.
  Cell worst_mistake(int64_t k) const;

 private:
  int64_t sum_of(const std::map<int64_t, int64_t>& sums, int64_t k) const;
  void require_class(int64_t k) const;

  int64_t classes_;
  std::map<std::pair<int64_t, int64_t>, int64_t> counts_;
  std::map<int64_t, int64_t> of_target_, of_predicted_;
};

}  // namespace datasets
