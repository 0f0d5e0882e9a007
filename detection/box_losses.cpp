#include "detection/box_losses.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "vit/autograd/tape.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/image/boxes.h"
#include "vit/kernels/kernels.h"

namespace detection {

namespace {

void check_pairs(const char* op, const vit::Tensor& boxes, const BoxPairs& pairs) {
  vit::check(boxes.rank() == 2 && boxes.size(1) == 4, op, ": expected boxes [R, 4], got ", boxes.shape());
  if (pairs.size() == 0) return;
  vit::check(pairs.targets.shape() == vit::Shape{pairs.size(), 4}, op, ": expected targets [", pairs.size(),
             ", 4], got ", pairs.targets.shape());
  for (const int64_t row : pairs.rows)
    vit::check(0 <= row && row < boxes.size(0), op, ": row ", row, " is outside [0, ", boxes.size(0), ")");
}

vit::CenterBox box_at(const vit::Tensor& boxes, int64_t row) {
  const float* box = boxes.f32() + 4 * row;
  return {box[0], box[1], box[2], box[3]};
}

/// A loss of one pair, and its slopes along the prediction's four numbers.
struct PairLoss {
  double value = 0.0;
  std::array<double, 4> slope{};
};

/// The sum over the pairs; only matched rows have a gradient.
template <class Loss>
vit::Var sum_over_pairs(vit::Context& ctx, const vit::Var& boxes, const BoxPairs& pairs, double divisor,
                        const Loss& loss) {
  double sum = 0.0;
  std::vector<std::array<double, 4>> slopes;
  for (int64_t i = 0; i < pairs.size(); ++i) {
    const PairLoss pair = loss(box_at(boxes.value(), pairs.rows[static_cast<size_t>(i)]), box_at(pairs.targets, i));
    sum += pair.value;
    slopes.push_back(pair.slope);
  }
  vit::Tensor value = vit::Tensor::full({1}, static_cast<float>(sum / divisor));
  if (!ctx.tape) return value;
  return ctx.tape->record(std::move(value), {boxes},
                          [boxes, rows = pairs.rows, slopes, divisor](vit::Tape& tape, const vit::Tensor& d_loss) {
                            vit::Tensor d_boxes = tape.zeros(boxes.shape());
                            const double factor = d_loss.f32()[0] / divisor;
                            for (size_t i = 0; i < rows.size(); ++i)
                              for (size_t k = 0; k < 4; ++k)
                                d_boxes.f32()[4 * rows[i] + static_cast<int64_t>(k)] +=
                                    static_cast<float>(factor * slopes[i][k]);
                            tape.accumulate(boxes, std::move(d_boxes));
                          });
}

// ---- generalised IoU ----

/// Length of an interval that depends on the prediction's two edges, never below zero, and its slopes along them.
struct Side {
  double length, d_low, d_high;
  Side(double low, double high, double low_share, double high_share)
      : length(std::max(0.0, high - low)),
        d_low(high >= low ? -low_share : 0.0),
        d_high(high >= low ? high_share : 0.0) {}
};

/// The share that `a` has in the gradient of max(a, b).
double share_of_larger(double a, double b) { return a == b ? 0.5 : (a > b ? 1.0 : 0.0); }

/// Prediction a, target b, along axis 0 (x) or 1 (y).
Side common_side(const vit::Corners& a, const vit::Corners& b, size_t axis) {
  return {std::max(a[axis], b[axis]), std::min(a[axis + 2], b[axis + 2]), share_of_larger(a[axis], b[axis]),
          share_of_larger(b[axis + 2], a[axis + 2])};
}
Side hull_side(const vit::Corners& a, const vit::Corners& b, size_t axis) {
  return {std::min(a[axis], b[axis]), std::max(a[axis + 2], b[axis + 2]), share_of_larger(b[axis], a[axis]),
          share_of_larger(a[axis + 2], b[axis + 2])};
}

/// Area of two sides, and its slopes along x0, y0, x1, y1.
struct Area {
  double value;
  std::array<double, 4> slope;
  Area(const Side& x, const Side& y)
      : value(x.length * y.length),
        slope{x.d_low * y.length, y.d_low * x.length, x.d_high * y.length, y.d_high * x.length} {}
};

PairLoss giou_loss(const vit::CenterBox& predicted, const vit::CenterBox& wanted) {
  const vit::Corners a = vit::to_corners(predicted), b = vit::to_corners(wanted);
  const Area own(Side(a[0], a[2], 1.0, 1.0), Side(a[1], a[3], 1.0, 1.0));
  const Area common(common_side(a, b, 0), common_side(a, b, 1));
  const Area hull(hull_side(a, b, 0), hull_side(a, b, 1));
  if (hull.value <= 0.0) return {1.0, {}};
  const double joined = own.value + vit::box_area(b) - common.value;
  const double per_joined = joined > 0.0 ? 1.0 / joined : 0.0;
  // giou = common / joined - 1 + joined / hull
  const double by_joined = 1.0 / hull.value - common.value * per_joined * per_joined;
  const double by_common = per_joined - by_joined;
  const double by_hull = -joined / (hull.value * hull.value);
  std::array<double, 4> d{};
  for (size_t i = 0; i < 4; ++i)
    d[i] = by_joined * own.slope[i] + by_common * common.slope[i] + by_hull * hull.slope[i];
  // The loss falls as giou rises; from edges to centre and size.
  return {2.0 - common.value * per_joined - joined / hull.value,
          {-(d[0] + d[2]), -(d[1] + d[3]), -0.5 * (d[2] - d[0]), -0.5 * (d[3] - d[1])}};
}

PairLoss l1_loss(const vit::CenterBox& predicted, const vit::CenterBox& wanted) {
  PairLoss loss;
  for (size_t k = 0; k < 4; ++k) {
    const double difference = predicted[k] - wanted[k];
    loss.value += std::abs(difference);
    loss.slope[k] = difference > 0.0 ? 1.0 : (difference < 0.0 ? -1.0 : 0.0);
  }
  return loss;
}

// ---- classes ----

/// p = sigmoid(x), and the logarithms of p and 1 - p without cancellation.
struct Probability {
  double p, log_p, log_not_p;
  explicit Probability(double x) {
    const double e = std::exp(-std::abs(x)), l = std::log1p(e);
    p = (x >= 0.0 ? 1.0 : e) / (1.0 + e);
    log_p = std::min(x, 0.0) - l;
    log_not_p = -std::max(x, 0.0) - l;
  }
};

/// One element's loss and its slope along the logit.
struct Term {
  double loss, slope;
};

double power(double base, double exponent) { return exponent == 2.0 ? base * base : std::pow(base, exponent); }

void check_classes(const char* op, const vit::Var& logits, const vit::Tensor& labels) {
  vit::check(logits.value().rank() == 2, op, ": expected logits [R, K], got ", logits.shape());
  vit::check(labels.dtype() == vit::DType::i64 && labels.shape() == vit::Shape{logits.size(0)}, op, ": expected ",
             logits.size(0), " labels, got ", labels.shape());
  for (const int64_t label : labels.span<int64_t>())
    vit::check(-1 <= label && label < logits.size(1), op, ": label ", label, " is outside [-1, ", logits.size(1), ")");
}

/// Sums term(row, logit, is the row's class) over all elements, in fixed parts.
template <class TermOf>
vit::Var sum_over_classes(vit::Context& ctx, const vit::Var& logits, const vit::Tensor& labels, double divisor,
                          const TermOf& term) {
  constexpr int64_t kElementsPerPart = 4096;
  const int64_t rows = logits.size(0), classes = logits.size(1);
  const int64_t parts = std::max<int64_t>(1, rows * classes / kElementsPerPart);
  vit::Tensor gradient = ctx.arena.empty(logits.shape());
  const float* z = logits.value().f32();
  float* d_z = gradient.f32();
  const int64_t* label = labels.data<int64_t>();
  std::vector<double> sums(static_cast<size_t>(parts), 0.0);
  vit::parallel_for(parts, [&](int64_t part) {
    const auto [begin, end] = vit::part_range(rows, parts, part);
    double sum = 0.0;
    for (int64_t r = begin; r < end; ++r)
      for (int64_t k = 0; k < classes; ++k) {
        const int64_t i = r * classes + k;
        const Term t = term(r, z[i], label[r] == k);
        sum += t.loss;
        d_z[i] = static_cast<float>(t.slope / divisor);
      }
    sums[static_cast<size_t>(part)] = sum;
  });
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  vit::Tensor value = vit::Tensor::full({1}, static_cast<float>(sum / divisor));
  if (!ctx.tape) return value;
  return ctx.tape->record(std::move(value), {logits}, [logits, gradient](vit::Tape& tape, const vit::Tensor& d_loss) {
    vit::Tensor d_logits = tape.empty(logits.shape());
    vit::kernels::kernels().scale(d_logits.f32(), gradient.f32(), d_loss.f32()[0], d_logits.numel());
    tape.accumulate(logits, std::move(d_logits));
  });
}

}  // namespace

vit::Var box_l1_loss(vit::Context& ctx, const vit::Var& boxes, const BoxPairs& pairs, double divisor) {
  check_pairs("box_l1_loss", boxes.value(), pairs);
  return sum_over_pairs(ctx, boxes, pairs, divisor, l1_loss);
}

vit::Var box_giou_loss(vit::Context& ctx, const vit::Var& boxes, const BoxPairs& pairs, double divisor) {
  check_pairs("box_giou_loss", boxes.value(), pairs);
  return sum_over_pairs(ctx, boxes, pairs, divisor, giou_loss);
}

std::vector<double> pair_ious(const vit::Tensor& boxes, const BoxPairs& pairs) {
  check_pairs("pair_ious", boxes, pairs);
  std::vector<double> ious;
  for (int64_t i = 0; i < pairs.size(); ++i)
    ious.push_back(vit::box_iou(vit::to_corners(box_at(boxes, pairs.rows[static_cast<size_t>(i)])),
                                vit::to_corners(box_at(pairs.targets, i))));
  return ious;
}

vit::Var sigmoid_focal_loss(vit::Context& ctx, const vit::Var& logits, const vit::Tensor& labels,
                            const FocalOptions& options, double divisor) {
  check_classes("sigmoid_focal_loss", logits, labels);
  const double of_object = options.alpha < 0.0 ? 1.0 : options.alpha;
  const double of_background = options.alpha < 0.0 ? 1.0 : 1.0 - options.alpha;
  return sum_over_classes(ctx, logits, labels, divisor, [&](int64_t, double x, bool is_object) -> Term {
    const Probability at(x);
    const double not_p = 1.0 - at.p;
    if (is_object) {
      const double weight = of_object * power(not_p, options.gamma);
      return {-weight * at.log_p, weight * (options.gamma * at.p * at.log_p - not_p)};
    }
    const double weight = of_background * power(at.p, options.gamma);
    return {-weight * at.log_not_p, weight * (at.p - options.gamma * not_p * at.log_not_p)};
  });
}

vit::Var varifocal_loss(vit::Context& ctx, const vit::Var& logits, const vit::Tensor& labels,
                        const vit::Tensor& quality, const FocalOptions& options, double divisor) {
  check_classes("varifocal_loss", logits, labels);
  vit::check(quality.dtype() == vit::DType::f32 && quality.shape() == labels.shape(), "varifocal_loss: expected ",
             labels.shape(), " qualities, got ", quality.shape());
  const float* best = quality.f32();
  return sum_over_classes(ctx, logits, labels, divisor, [&](int64_t r, double x, bool is_object) -> Term {
    const Probability at(x);
    const double target = is_object ? static_cast<double>(best[r]) : 0.0;
    const double weight = is_object ? target : options.alpha * power(at.p, options.gamma);
    return {-weight * (target * at.log_p + (1.0 - target) * at.log_not_p), weight * (at.p - target)};
  });
}

}  // namespace detection
