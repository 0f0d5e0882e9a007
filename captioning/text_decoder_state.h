// What a text decoder keeps while it writes. A picture's keys and values are packed once, for all its rows. A word's
// keys and values stay where they were written: a row is a list of places, so that a reordering of beams moves numbers
// and no keys.
#pragma once

#include <cstdint>
#include <vector>

#include "captioning/model.h"
#include "vit/core/context.h"

namespace captioning {

class TextDecoderState : public DecoderState {
 public:
  struct Options {
    int64_t layers = 0, heads = 0, head_dim = 0;
    int64_t pictures = 1, rows_per_picture = 1;
    int64_t picture_tokens = 0;  ///< M; 0: words look at words only
  };
  explicit TextDecoderState(const Options& options);

  int64_t rows() const override { return static_cast<int64_t>(pictures_.size()); }
  int64_t length() const override { return length_; }
  void select(const std::vector<int64_t>& parents) override;

  /// Keeps a layer's keys and values of the pictures, kv [P, M, 2C].
  void keep_picture(int64_t layer, const vit::Tensor& kv);

  /// Gives `tokens` new words of every row a place; attend_words() fills it in every layer.
  void grow(int64_t tokens);
  /// Keeps the keys and values of the new words, qkv [rows, T, 3C], and answers their queries from all words up to each
  /// -> [rows, T, C].
  vit::Tensor attend_words(vit::Context& ctx, int64_t layer, const vit::Tensor& qkv);
  /// Answers queries [rows, T, C] from each row's picture.
  vit::Tensor attend_picture(vit::Context& ctx, int64_t layer, const vit::Tensor& q) const;

 private:
  int64_t width() const { return options_.heads * options_.head_dim; }
  void reserve(int64_t places);

  Options options_;
  float scale_;
  int64_t length_ = 0;
  std::vector<int64_t> pictures_;             ///< of every row
  std::vector<std::vector<int64_t>> places_;  ///< of every row: where its words are
  int64_t places_used_ = 0;
  std::vector<vit::Tensor> words_;   ///< of every layer: [places, 2C], keys and values
  std::vector<vit::Tensor> packed_;  ///< of every layer: [P * H, floats of a packed head]
};

}  // namespace captioning
