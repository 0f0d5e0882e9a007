#include "detection/matcher.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vit/core/check.h"
#include "vit/image/boxes.h"

namespace detection {

namespace {

constexpr int64_t kNone = -1;

/// Assigns rows one after the other, never more rows than columns: each by the cheapest path from it over columns that
/// are taken, and the rows they go to, to a free one. Potentials of rows and columns keep all reduced costs >= 0.
class Assignment {
 public:
  Assignment(std::vector<double> cost, int64_t rows, int64_t columns)
      : cost_(std::move(cost)),
        rows_(rows),
        columns_(columns),
        row_potential_(size_of(rows), 0.0),
        column_potential_(size_of(columns), 0.0),
        distance_(size_of(columns)),
        came_from_(size_of(columns), kNone),
        column_of_(size_of(rows), kNone),
        row_of_(size_of(columns), kNone) {}

  /// The column of every row.
  const std::vector<int64_t>& solve() {
    for (int64_t row = 0; row < rows_; ++row) {
      const int64_t free_column = find_path(row);
      update_potentials(row);
      flip(row, free_column);
    }
    return column_of_;
  }

 private:
  static size_t size_of(int64_t count) { return static_cast<size_t>(count); }
  template <class T>
  static T& at(std::vector<T>& values, int64_t i) {
    return values[static_cast<size_t>(i)];
  }

  /// Dijkstra over the columns; leaves the visited ones and the length of the path. Returns the free column at its end.
  int64_t find_path(int64_t start) {
    std::fill(distance_.begin(), distance_.end(), std::numeric_limits<double>::infinity());
    visited_.clear();
    // From the last to the first: equal costs make the identity, as scipy has it.
    open_.resize(size_of(columns_));
    for (int64_t i = 0; i < columns_; ++i) at(open_, i) = columns_ - 1 - i;
    length_ = 0.0;
    for (int64_t row = start;;) {
      const size_t nearest = relax(row);
      const int64_t column = open_[nearest];
      length_ = at(distance_, column);
      visited_.push_back(column);
      open_[nearest] = open_.back();
      open_.pop_back();
      row = at(row_of_, column);
      if (row == kNone) return column;
    }
  }

  /// Shortens the ways to open columns over `row`; returns the place of the nearest, a free one among equals.
  size_t relax(int64_t row) {
    const double* cost = cost_.data() + row * columns_;
    const double potential = at(row_potential_, row);
    size_t nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < open_.size(); ++i) {
      const int64_t column = open_[i];
      const double way = length_ + cost[column] - potential - at(column_potential_, column);
      if (way < at(distance_, column)) {
        at(distance_, column) = way;
        at(came_from_, column) = row;
      }
      const double here = at(distance_, column);
      if (here < least || (here == least && at(row_of_, column) == kNone)) {
        least = here;
        nearest = i;
      }
    }
    return nearest;
  }

  void update_potentials(int64_t start) {
    at(row_potential_, start) += length_;
    for (const int64_t column : visited_) {
      const double slack = length_ - at(distance_, column);
      at(column_potential_, column) -= slack;
      if (at(row_of_, column) != kNone) at(row_potential_, at(row_of_, column)) += slack;
    }
  }

  /// Every row on the path takes the column that follows it.
  void flip(int64_t start, int64_t column) {
    for (int64_t row = kNone; row != start;) {
      row = at(came_from_, column);
      at(row_of_, column) = row;
      std::swap(at(column_of_, row), column);
    }
  }

  std::vector<double> cost_;
  int64_t rows_, columns_;
  std::vector<double> row_potential_, column_potential_, distance_;
  std::vector<int64_t> came_from_, column_of_, row_of_, open_, visited_;
  double length_ = 0.0;
};

std::vector<double> transposed(std::span<const double> cost, int64_t rows, int64_t columns) {
  std::vector<double> other(cost.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      other[static_cast<size_t>(c * rows + r)] = cost[static_cast<size_t>(r * columns + c)];
  return other;
}

/// The cost of finding one query to be of some class.
class ClassCost {
 public:
  ClassCost(int64_t classes, Scoring scoring, const MatchCosts& costs)
      : classes_(classes), scoring_(scoring), costs_(costs) {}

  /// The next calls are about the query with these logits.
  void set_query(const float* logits) {
    logits_ = logits;
    if (scoring_ != Scoring::softmax) return;
    largest_ = *std::max_element(logits, logits + classes_ + 1);
    sum_ = 0.0;
    for (int64_t k = 0; k <= classes_; ++k) sum_ += std::exp(logits[k] - largest_);
  }

  double of(int64_t label) const {
    if (scoring_ == Scoring::softmax) return -std::exp(logits_[label] - largest_) / sum_;
    constexpr double kEps = 1e-8;  // transformers', against log(0)
    const double p = 1.0 / (1.0 + std::exp(-static_cast<double>(logits_[label])));
    const double as_object = costs_.alpha * std::pow(1.0 - p, costs_.gamma) * -std::log(p + kEps);
    const double as_background = (1.0 - costs_.alpha) * std::pow(p, costs_.gamma) * -std::log(1.0 - p + kEps);
    return as_object - as_background;
  }

 private:
  int64_t classes_;
  Scoring scoring_;
  const MatchCosts& costs_;
  const float* logits_ = nullptr;
  double largest_ = 0.0, sum_ = 1.0;
};

/// Targets as the costs need them, with every label once.
struct Wanted {
  std::vector<vit::CenterBox> boxes;
  std::vector<vit::Corners> corners;
  std::vector<int64_t> labels;      ///< distinct, ascending
  std::vector<size_t> label_place;  ///< of each target, among these
};

vit::CenterBox box_at(const float* box) { return {box[0], box[1], box[2], box[3]}; }

double l1_distance(const vit::CenterBox& a, const vit::CenterBox& b) {
  double sum = 0.0;
  for (size_t i = 0; i < 4; ++i) sum += std::abs(a[i] - b[i]);
  return sum;
}

Wanted prepare(const vit::BoxTargets& targets, int64_t classes) {
  Wanted wanted;
  const int64_t* labels = targets.labels.data<int64_t>();
  for (int64_t t = 0; t < targets.size(); ++t) {
    vit::check(0 <= labels[t] && labels[t] < classes, "matcher: label ", labels[t], " is outside [0, ", classes, ")");
    wanted.boxes.push_back(box_at(targets.boxes.f32() + 4 * t));
    wanted.corners.push_back(vit::to_corners(wanted.boxes.back()));
  }
  wanted.labels.assign(labels, labels + targets.size());
  std::sort(wanted.labels.begin(), wanted.labels.end());
  wanted.labels.erase(std::unique(wanted.labels.begin(), wanted.labels.end()), wanted.labels.end());
  for (int64_t t = 0; t < targets.size(); ++t) {
    const auto place = std::lower_bound(wanted.labels.begin(), wanted.labels.end(), labels[t]);
    wanted.label_place.push_back(static_cast<size_t>(place - wanted.labels.begin()));
  }
  return wanted;
}

}  // namespace

Matches assign(std::span<const double> cost, int64_t rows, int64_t columns) {
  vit::check(rows >= 0 && columns >= 0 && static_cast<int64_t>(cost.size()) == rows * columns, "assign: expected ",
             rows, " x ", columns, " costs, got ", cost.size());
  for (size_t i = 0; i < cost.size(); ++i)
    vit::check(std::isfinite(cost[i]), "assign: the cost of row ", static_cast<int64_t>(i) / columns, ", column ",
               static_cast<int64_t>(i) % columns, " is ", cost[i], "; costs must be finite");
  Matches matches;
  if (rows <= columns) {
    Assignment assignment({cost.begin(), cost.end()}, rows, columns);
    const std::vector<int64_t>& column_of = assignment.solve();
    for (int64_t row = 0; row < rows; ++row) matches.emplace_back(row, column_of[static_cast<size_t>(row)]);
  } else {
    Assignment assignment(transposed(cost, rows, columns), columns, rows);
    const std::vector<int64_t>& row_of = assignment.solve();
    for (int64_t column = 0; column < columns; ++column)
      matches.emplace_back(row_of[static_cast<size_t>(column)], column);
    std::sort(matches.begin(), matches.end());
  }
  return matches;
}

Matches match_queries(const float* logits, const float* boxes, int64_t queries, int64_t classes, Scoring scoring,
                      const vit::BoxTargets& targets, const MatchCosts& costs) {
  const int64_t count = targets.size(), width = classes + (scoring == Scoring::softmax ? 1 : 0);
  if (count == 0) return {};
  const Wanted wanted = prepare(targets, classes);
  ClassCost class_cost(classes, scoring, costs);
  std::vector<double> cost, of_label(wanted.labels.size());
  cost.reserve(static_cast<size_t>(queries * count));
  for (int64_t q = 0; q < queries; ++q) {
    class_cost.set_query(logits + q * width);
    for (size_t i = 0; i < of_label.size(); ++i) of_label[i] = class_cost.of(wanted.labels[i]);
    const vit::CenterBox box = box_at(boxes + 4 * q);
    const vit::Corners corners = vit::to_corners(box);
    for (size_t t = 0; t < static_cast<size_t>(count); ++t)
      cost.push_back(costs.cost_class * of_label[wanted.label_place[t]] +
                     costs.cost_bbox * l1_distance(box, wanted.boxes[t]) -
                     costs.cost_giou * vit::generalized_iou(corners, wanted.corners[t]));
  }
  return assign(cost, queries, count);
}

}  // namespace detection
