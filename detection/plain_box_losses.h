// Plain definitions of the detectors' losses: oracles of values and gradients; see vit/autograd/plain.h. Not a public
// header.
#pragma once

#include <algorithm>
#include <vector>

#include "vit/autograd/plain.h"

namespace detection::plain {

template <class T>
using Array = vit::plain::Array<T>;

/// sum |boxes[rows] - targets| / divisor: boxes [R, 4], targets [n, 4].
template <class T>
Array<T> box_l1_loss(const Array<T>& boxes, const std::vector<size_t>& rows, const Array<T>& targets, T divisor) {
  T sum = 0;
  for (size_t i = 0; i < rows.size(); ++i)
    sum += xt::sum(xt::abs(xt::row(boxes, static_cast<int>(rows[i])) - xt::row(targets, static_cast<int>(i))))();
  return Array<T>(sum / divisor);
}

/// Edges of box `i`: x0, y0, x1, y1.
template <class T>
std::vector<T> edges(const Array<T>& boxes, size_t i) {
  const T x = boxes(i, 0), y = boxes(i, 1), w = boxes(i, 2), h = boxes(i, 3);
  return {x - w / 2, y - h / 2, x + w / 2, y + h / 2};
}

/// sum (1 - giou(boxes[rows], targets)) / divisor.
template <class T>
Array<T> box_giou_loss(const Array<T>& boxes, const std::vector<size_t>& rows, const Array<T>& targets, T divisor) {
  const auto area = [](T x0, T y0, T x1, T y1) { return std::max<T>(0, x1 - x0) * std::max<T>(0, y1 - y0); };
  T sum = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<T> a = edges<T>(boxes, rows[i]), b = edges<T>(targets, i);
    const T common = area(std::max(a[0], b[0]), std::max(a[1], b[1]), std::min(a[2], b[2]), std::min(a[3], b[3]));
    const T hull = area(std::min(a[0], b[0]), std::min(a[1], b[1]), std::max(a[2], b[2]), std::max(a[3], b[3]));
    const T joined = area(a[0], a[1], a[2], a[3]) + area(b[0], b[1], b[2], b[3]) - common;
    sum += 1 - (common / joined - (hull - joined) / hull);
  }
  return Array<T>(sum / divisor);
}

/// Focal loss of every element: targets are 0 or 1, [R, K] as the logits.
template <class T>
Array<T> sigmoid_focal_loss(const Array<T>& logits, const Array<T>& targets, T alpha, T gamma, T divisor) {
  const Array<T> p = 1 / (1 + xt::exp(-logits));
  const Array<T> p_right = targets * p + (1 - targets) * (1 - p);
  const Array<T> weight =
      alpha < 0 ? Array<T>(xt::ones_like(p)) : Array<T>(targets * alpha + (1 - targets) * (1 - alpha));
  return Array<T>(xt::sum(-weight * xt::pow(1 - p_right, gamma) * xt::log(p_right))() / divisor);
}

/// Varifocal loss with weights that are given, because they have no gradient: targets and weights [R, K].
template <class T>
Array<T> varifocal_loss(const Array<T>& logits, const Array<T>& targets, const Array<T>& weights, T divisor) {
  const Array<T> p = 1 / (1 + xt::exp(-logits));
  return Array<T>(xt::sum(-weights * (targets * xt::log(p) + (1 - targets) * xt::log(1 - p)))() / divisor);
}

}  // namespace detection::plain
