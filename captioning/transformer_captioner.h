// A small transformer decoder over the regions of any backbone: pre-norm blocks of causal self attention, attention to
// the regions by a mechanism of the zoo, and an MLP (Vaswani et al. 2017, section 3; pre-norm as Radford et al. 2019).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "captioning/region_captioner.h"
#include "vit/nn/mlp.h"

namespace captioning {

struct TransformerCaptionerConfig : RegionCaptionerConfig {
  int64_t d_model = 192;
  int64_t decoder_layers = 2;
  int64_t decoder_attention_heads = 4;
  int64_t decoder_ffn_dim = 512;
  int64_t max_positions = 64;

  template <class V>
  void visit_fields(V& v) {
    RegionCaptionerConfig::visit_fields(v);
    v("d_model", d_model, "Width of regions and words.", vit::between(1, 1 << 14));
    v("decoder_layers", decoder_layers, "Blocks of the decoder.", vit::between(1, 256));
    v("decoder_attention_heads", decoder_attention_heads, "Heads of the attention among words.", vit::between(1, 1024));
    v("decoder_ffn_dim", decoder_ffn_dim, "Width of the MLPs.", vit::between(1, 1 << 18));
    v("max_positions", max_positions, "Tokens that a caption can have, with its start.", vit::between(2, 1 << 16));
  }
};

/// One block: x + self(norm(x)), x + attn(norm(x), regions), x + mlp(norm(x)). Parameters: norm1.*, qkv.*, proj.*,
/// norm2.*, attn.*, norm3.*, mlp.*.
class CaptionerBlock : public vit::Module {
 public:
  /// Errors (usage): heads that do not divide d_model; as vit::build_attention.
  explicit CaptionerBlock(const TransformerCaptionerConfig& config);

  /// x [R, T, C] behind what `past` has, which grows by the keys and values of these words: [R, S, 2C], undefined for
  /// none. regions [G, M, C] with R / G neighbouring rows each. Observed as "attn.probs": [R, H, T, M].
  vit::Var forward(vit::Context& ctx, const vit::Var& x, const vit::Var& regions, const std::vector<vit::Grid>& grids,
                   vit::Var& past) const;

 private:
  vit::Var among_words(vit::Context& ctx, const vit::Var& x, vit::Var& past) const;
  vit::Var at_regions(vit::Context& ctx, const vit::Var& x, const vit::Var& regions,
                      const std::vector<vit::Grid>& grids) const;

  int64_t dim_, heads_;
  float dropout_;
  vit::Norm norm1_, norm2_, norm3_;
  vit::Linear qkv_, proj_;
  std::unique_ptr<vit::Attention> attention_;
  vit::Mlp mlp_;
};

/// Parameters beside the regions': word_embeddings.weight, which the words are scored with, too (Press, Wolf 2017),
/// position_embeddings.weight, decoder.{i}.*, norm.*, output_bias.
class TransformerCaptioner : public RegionCaptioner {
 public:
  /// Errors (usage): as the parts.
  TransformerCaptioner(const TransformerCaptionerConfig& config, const std::string& name);

  vit::Var logits(vit::Context& ctx, const vit::Var& encoded, const vit::Tensor& ids,
                  const vit::Tensor& mask) const override;
  std::unique_ptr<DecoderState> begin(vit::Context& ctx, const vit::Tensor& encoded,
                                      int64_t rows_per_picture) const override;
  vit::Tensor step(vit::Context& ctx, DecoderState& state, const vit::Tensor& ids) const override;
  int64_t max_positions() const override { return config_.max_positions; }
  int64_t attention_layers() const override { return config_.decoder_layers; }
  WordAttention word_attention(int64_t layer) const override;
  vit::ConfigNode describe() const override;
  const TransformerCaptionerConfig& config() const { return config_; }

 private:
  std::vector<std::string> replace_vocabulary() override;
  /// Of words at positions length, length + 1, ...; `past` per block.
  vit::Var decode(vit::Context& ctx, const vit::Var& regions, const vit::Tensor& ids, int64_t length,
                  std::vector<vit::Var>& past) const;

  TransformerCaptionerConfig config_;
  vit::Parameter word_embeddings_, position_embeddings_, output_bias_;
  std::deque<CaptionerBlock> blocks_;
  vit::Norm norm_;
};

}  // namespace captioning
