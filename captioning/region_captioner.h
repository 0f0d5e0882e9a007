// The base of the captioners that are trained here: a backbone's regions, a vocabulary that a run's tokenizer decides,
// and a decoder that a family adds.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "captioning/model.h"
#include "captioning/picture_rows.h"
#include "captioning/regions.h"
#include "vit/core/config.h"
#include "vit/nn/attention.h"

namespace captioning {

/// Token numbers are those of train_bpe() by default.
struct RegionCaptionerConfig {
  std::array<int64_t, 2> img_size{128, 128};
  vit::ConfigNode backbone{};
  std::vector<int64_t> backbone_maps{};
  int64_t vocab_size = 512;
  int64_t bos_token_id = 1;
  int64_t eos_token_id = 2;
  int64_t pad_token_id = 0;
  vit::ConfigNode attention{};
  int64_t num_heads = 4;
  float dropout = 0.3f;

  template <class V>
  void visit_fields(V& v) {
    v("img_size", img_size, "Height and width of the images.", vit::between(1, 1 << 14));
    v("backbone", backbone, "The backbone: any model of the toolkit that has feature maps, as configs/model has it.");
    v("backbone_maps", backbone_maps,
      "Which of the backbone's maps words look at, counted from 0, from fine to coarse; none: the last.",
      vit::between(0, 64));
    v("vocab_size", vocab_size, "Tokens that can be said; a training run sets its tokenizer's.",
      vit::between(2, 1 << 20));
    v("bos_token_id", bos_token_id, "The token in front of every caption.", vit::between(0, 1 << 20));
    v("eos_token_id", eos_token_id, "The token that ends a caption.", vit::between(0, 1 << 20));
    v("pad_token_id", pad_token_id, "The token behind the end.", vit::between(0, 1 << 20));
    v("attention", attention, "How words look at the regions: a mechanism of the zoo that takes a memory.");
    v("num_heads", num_heads, "Heads of mechanisms that have heads.", vit::between(1, 1024));
    v("dropout", dropout, "Dropout in the decoder, in training.", vit::between(0, 0.99));
  }
  /// Errors (usage): a special token outside the vocabulary.
  void validate() const;
};

/// The mechanism by which words look at regions. Errors (usage): one that looks at no memory; as build_attention.
std::unique_ptr<vit::Attention> build_word_attention(const vit::ConfigNode& node, const vit::AttentionShape& shape,
                                                     const std::string& fallback);

class RegionCaptioner : public CaptionModel {
 public:
  vit::Var encode(vit::Context& ctx, const vit::Var& images) const override;
  /// The regions: what encode() makes.
  vit::Var forward(vit::Context& ctx, const vit::Var& images) const override;

  int64_t vocab_size() const override { return shared_.vocab_size; }
  StartAndEnd start_and_end() const override;
  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override;
  /// Stochastic depth and checkpointing of the backbone; the decoder's dropout is the configuration's.
  void set_training(const vit::TrainingOptions& options) override;
  /// Words in place of classes: a vocabulary of another size. Errors (usage): the special tokens are outside of it.
  std::vector<std::string> replace_head(int64_t num_classes) override;
  /// Errors (usage): as RegionEncoder.
  void set_input_size(int64_t height, int64_t width) override;

 protected:
  /// Parameters: the regions'. Errors (usage): as RegionEncoder; a special token outside the vocabulary.
  RegionCaptioner(const RegionCaptionerConfig& config, int64_t region_dim, const std::string& name);

  /// Gives the decoder a vocabulary of shared().vocab_size; the names of the parameters that are new.
  virtual std::vector<std::string> replace_vocabulary() = 0;

  const RegionCaptionerConfig& shared() const { return shared_; }
  const std::vector<vit::Grid>& grids() const { return regions_.grids(); }
  /// Errors: ids that are no i64 [B, T] of the encoded pictures.
  void check_ids(const vit::Var& encoded, const vit::Tensor& ids, int64_t rows) const;

 private:
  RegionCaptionerConfig shared_;
  RegionEncoder regions_;
};

/// What `look` makes observers see as "probs" in a mechanism under it, kept from all other observers; undefined where
/// `wanted` is false. The mechanism is called word by word, and what observers are to see is the whole caption.
vit::Var looked(vit::Context& ctx, bool wanted, const std::function<vit::Var()>& look, vit::Tensor& probs);
/// Such probabilities of G groups with R / G rows of T words each, [G, H, R / G * T, M] -> [R, H, T, M]; undefined ones
/// stay so.
vit::Tensor by_row(const vit::Tensor& probs, int64_t rows, int64_t words);

}  // namespace captioning
