#include "captioning/caption_loss.h"

#include <vector>

#include "vit/autograd/losses.h"
#include "vit/autograd/tensor_ops.h"

namespace captioning {

using vit::Context;
using vit::DType;
using vit::Tensor;
using vit::Var;

Var caption_loss(Context& ctx, const Var& logits, const Tensor& labels, float label_smoothing) {
  vit::check(logits.value().rank() == 3 && labels.defined() && labels.rank() == 2 && labels.size(0) == logits.size(0) &&
                 labels.size(1) == logits.size(1),
             "caption loss: labels [B, T] do not match logits ", logits.shape());
  const int64_t vocab = logits.size(2);
  std::vector<int64_t> rows, targets;
  for (int64_t i = 0; i < labels.numel(); ++i) {
    const int64_t label = labels.data<int64_t>()[i];
    if (label == kIgnoredLabel) continue;
    vit::check(label >= 0 && label < vocab, "caption loss: the label ", label, " is not in the vocabulary of ", vocab);
    rows.push_back(i);
    targets.push_back(label);
  }
  vit::check(!rows.empty(), "caption loss: there is no word to learn: every label is padding");
  const auto count = static_cast<int64_t>(rows.size());
  Var words = vit::reshape(ctx, logits, {1, labels.numel(), vocab});
  if (count < labels.numel()) words = vit::gather_tokens(ctx, words, Tensor::from(rows, {count}));
  return vit::cross_entropy(ctx, vit::reshape(ctx, words, {count, vocab}), Tensor::from(targets, {count}),
                            {.label_smoothing = label_smoothing});
}

Tensor shifted_right(const Tensor& labels, int64_t start, int64_t pad) {
  Tensor shifted = Tensor::empty(labels.shape(), DType::i64);
  const int64_t length = labels.size(1);
  for (int64_t i = 0; i < labels.numel(); ++i) {
    const int64_t before = i % length == 0 ? start : labels.data<int64_t>()[i - 1];
    shifted.data<int64_t>()[i] = before == kIgnoredLabel ? pad : before;
  }
  return shifted;
}

Tensor next_labels(const Tensor& labels) {
  Tensor next = Tensor::empty(labels.shape(), DType::i64);
  const int64_t length = labels.size(1);
  for (int64_t i = 0; i < labels.numel(); ++i)
    next.data<int64_t>()[i] = i % length + 1 < length ? labels.data<int64_t>()[i + 1] : kIgnoredLabel;
  return next;
}

}  // namespace captioning
