// What every captioner offers: logits of the next word, for training all words at once, for generation step by step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vit/models/model.h"
#include "vit/nn/attention.h"

namespace captioning {

/// Token numbers that generation needs. What a checkpoint's generation_config.json says goes before them.
struct StartAndEnd {
  int64_t start = 0;            ///< of every caption, in front of what is generated
  std::vector<int64_t> ends{};  ///< any of them ends a caption
  int64_t pad = 0;              ///< behind the end
};

/// What a decoder keeps between the words of the captions that it is writing: keys and values of the words so far, or a
/// recurrent state, one row per caption. What is made of a picture is shared by its rows.
class DecoderState {
 public:
  virtual ~DecoderState() = default;
  virtual int64_t rows() const = 0;
  /// Tokens that every row has had.
  virtual int64_t length() const = 0;
  /// Row i goes on from what row parents[i] was, as beam search chooses; there may be more or fewer rows than before.
  virtual void select(const std::vector<int64_t>& parents) = 0;
};

/// Where observers see what words looked at, in one layer of CaptionModel::logits.
struct WordAttention {
  std::string name{};              ///< observed: [B, H, T, M], row t is what the word after ids[t] looked at
  int64_t prefix_tokens = 0;       ///< in front of the regions: class tokens
  std::vector<vit::Grid> grids{};  ///< of the regions, one map after the other; M = prefix + their cells
};

class CaptionModel : public vit::ImageModel {
 public:
  /// What benchmarks and summaries run: the picture and the logits of the first word, [B, V].
  vit::Var forward(vit::Context& ctx, const vit::Var& images) const override;

  /// images [B, channels, height, width] -> what the decoder looks at: tokens [B, M, C].
  virtual vit::Var encode(vit::Context& ctx, const vit::Var& images) const = 0;

  /// Teacher forcing: ids i64 [B, T], mask i64 [B, T] (1: a word, 0: padding behind the caption) or undefined ->
  /// [B, T, V], at t the logits of what follows ids[t]. Errors: an id outside the vocabulary, more than
  /// max_positions().
  virtual vit::Var logits(vit::Context& ctx, const vit::Var& encoded, const vit::Tensor& ids,
                          const vit::Tensor& mask) const = 0;

  /// Begins captions, `rows_per_picture` for each picture of `encoded` (neighbouring rows), without a word yet.
  virtual std::unique_ptr<DecoderState> begin(vit::Context& ctx, const vit::Tensor& encoded,
                                              int64_t rows_per_picture) const = 0;
  /// Takes ids i64 [rows, T] behind what the state has -> logits of the word after the last, f32 [rows, V]. Errors: as
  /// logits(). Inference only.
  virtual vit::Tensor step(vit::Context& ctx, DecoderState& state, const vit::Tensor& ids) const = 0;

  virtual int64_t vocab_size() const = 0;
  /// Tokens that a caption can have, with its start; unbounded for recurrent decoders: a large number.
  virtual int64_t max_positions() const = 0;
  virtual StartAndEnd start_and_end() const = 0;
  /// A prompt as its tokenizer encodes it, special tokens included -> the ids that generate() takes: with the start in
  /// front and no end behind.
  virtual std::vector<int64_t> prompt_ids(std::vector<int64_t> encoded) const;

  /// Layers in which words look at the picture, at least 1.
  virtual int64_t attention_layers() const = 0;
  /// Of one of them, counted from 0, for pictures of the model's input size.
  virtual WordAttention word_attention(int64_t layer) const = 0;

  std::string verb() const override { return "caption"; }

  /// Observes what the family does on `forced_ids`, and "logits" of them, "logits_masked" (with
  /// `forced_attention_mask`), "image_embeds" (what encode() gives), and captions, "gen.{t}.sequences" and
  /// "gen.{t}.scores" by the settings `gen_kwargs.{t}` of case.json, "gen_prompt.{t}..." behind `prompt_ids`.
  void run_reference(vit::Context& ctx, const vit::ReferenceRun& run) const override;
  std::vector<std::string> reference_inputs() const override;
};

}  // namespace captioning
