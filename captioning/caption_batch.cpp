#include "captioning/caption_batch.h"

#include <algorithm>

#include "vit/core/check.h"

namespace captioning {

using vit::Tensor;

int64_t CaptionBatch::words() const {
  const auto ones = mask.span<int64_t>();
  return std::count_if(ones.begin(), ones.end(), [](int64_t one) { return one != 0; });
}

CaptionBatch make_caption_batch(const std::vector<std::vector<int64_t>>& sentences, const CaptionModel& model,
                                int64_t max_tokens) {
  const StartAndEnd marks = model.start_and_end();
  vit::check(!sentences.empty(), "captions: a batch without sentences");
  vit::check(!marks.ends.empty(), model.info().name, ": the model has no token that ends a caption");
  const int64_t longest = std::min(max_tokens + 1, model.max_positions());
  int64_t length = 1;
  for (const std::vector<int64_t>& words : sentences)
    length = std::max(length, std::min(longest, static_cast<int64_t>(words.size()) + 1));
  const auto rows = static_cast<int64_t>(sentences.size());
  CaptionBatch batch{Tensor::empty({rows, length}, vit::DType::i64), Tensor::empty({rows, length}, vit::DType::i64),
                     Tensor::zeros({rows, length}, vit::DType::i64)};
  std::fill_n(batch.ids.data<int64_t>(), rows * length, marks.pad);
  std::fill_n(batch.targets.data<int64_t>(), rows * length, kIgnoredLabel);
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<int64_t>& words = sentences[static_cast<size_t>(row)];
    const auto count = static_cast<int64_t>(words.size());
    for (int64_t t = 0; t < std::min(length, count + 1); ++t) {
      const int64_t at = row * length + t;
      const auto word = [&](int64_t i) { return words[static_cast<size_t>(i)]; };
      batch.ids.data<int64_t>()[at] = t == 0 ? marks.start : word(t - 1);
      batch.targets.data<int64_t>()[at] = t < count ? word(t) : marks.ends.front();
      batch.mask.data<int64_t>()[at] = 1;
    }
  }
  for (const int64_t id : batch.targets.span<int64_t>())
    vit::check(id == kIgnoredLabel || (0 <= id && id < model.vocab_size()), model.info().name, ": token ", id,
               " is outside of its vocabulary of ", model.vocab_size(), "; the tokenizer is another model's");
  return batch;
}

CaptionBatch make_caption_batch(const Tokenizer& tokenizer, const std::vector<std::string>& sentences,
                                const CaptionModel& model, int64_t max_tokens) {
  std::vector<std::vector<int64_t>> tokens;
  for (const std::string& sentence : sentences) tokens.push_back(tokenizer.encode(sentence, /*special=*/false));
  return make_caption_batch(tokens, model, max_tokens);
}

}  // namespace captioning
