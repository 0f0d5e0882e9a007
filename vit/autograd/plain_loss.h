// Plain definitions of the losses; see plain.h.
#pragma once

#include <optional>

#include "vit/autograd/plain.h"

namespace vit::plain {

/// Targets as a distribution per sample, smoothed: (1 - smoothing) * targets + smoothing / K.
template <class T>
Array<T> smoothed(const Array<T>& targets, T smoothing) {
  return (1 - smoothing) * targets + smoothing / static_cast<T>(targets.shape(1));
}

/// -sum_k w_k t_k log softmax(logits)_k, averaged over the batch: logits and targets [B, K], class weights [K]. For
/// hard targets (one-hot) the mean is weighted with the weights of the labels, as torch's.
template <class T>
Array<T> cross_entropy(const Array<T>& logits, const Array<T>& targets, const Array<T>& weights, T smoothing,
                       bool hard) {
  const Array<T> log_probs = xt::log(softmax<T>(logits));
  const Array<T> terms = smoothed<T>(targets, smoothing) * weights * log_probs;
  const Array<T> label_weights = targets * weights;
  const T total = hard ? xt::sum(label_weights)() : static_cast<T>(logits.shape(0));
  return Array<T>(-xt::sum(terms)() / total);
}

/// -w_k (t log p + (1 - t) log(1 - p)) with p = sigmoid(logits), averaged over all elements, or summed over the
/// classes and averaged over the batch. Targets above the threshold count as 1, the others as 0.
template <class T>
Array<T> binary_cross_entropy(const Array<T>& logits, const Array<T>& targets, const Array<T>& weights,
                              std::optional<T> threshold, bool sum_classes) {
  const Array<T> t = threshold ? Array<T>(xt::cast<T>(targets > *threshold)) : targets;
  const Array<T> p = 1 / (1 + xt::exp(-logits));
  const Array<T> terms = weights * (t * xt::log(p) + (1 - t) * xt::log(1 - p));
  const size_t count = sum_classes ? logits.shape(0) : logits.size();
  return Array<T>(-xt::sum(terms)() / static_cast<T>(count));
}

}  // namespace vit::plain
