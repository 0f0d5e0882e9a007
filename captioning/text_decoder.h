// A transformer that writes: token and position tables, layers of causal self-attention, attention to a picture's
// tokens and an MLP, and a head over the vocabulary. GPT-2's form normalises before each part (Radford et al. 2019,
// section 2.3), BERT's behind it (Vaswani et al. 2017, section 3.1; Devlin et al. 2019); CLIP's text tower is the first
// without a picture and a head. One code answers for whole captions and, with what a state keeps, for the next word.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "captioning/model.h"
#include "vit/autograd/names.h"
#include "vit/core/config.h"
#include "vit/nn/linear.h"
#include "vit/nn/mlp.h"
#include "vit/nn/norm.h"

namespace captioning {

struct TextDecoderConfig {
  int64_t vocab_size = 50257;
  int64_t positions = 1024;
  int64_t embed_dim = 768;
  int64_t depth = 12;
  int64_t num_heads = 12;
  int64_t mlp_hidden = 3072;
  int64_t memory_dim = 768;
  vit::Activation act = vit::Activation::gelu_tanh;
  float norm_eps = 1e-5f;
  bool post_norm = false;
  bool head = true;
  bool tied_head = true;

  template <class V>
  void visit_fields(V& v) {
    v("vocab_size", vocab_size, "Tokens of the vocabulary.", vit::between(2, 1 << 22));
    v("positions", positions, "Tokens that a caption can have, with its start.", vit::between(1, 1 << 20));
    v("embed_dim", embed_dim, "Width of the tokens.", vit::between(1, 1 << 16));
    v("depth", depth, "Number of layers.", vit::between(1, 1024));
    v("num_heads", num_heads, "Attention heads of each layer.", vit::between(1, 1024));
    v("mlp_hidden", mlp_hidden, "Hidden width of the MLP.", vit::between(1, 1 << 20));
    v("memory_dim", memory_dim, "Width of the picture's tokens; 0: words look at words only.",
      vit::between(0, 1 << 16));
    v("act", act, "Activation of the MLP, and of BERT's head.");
    v("norm_eps", norm_eps, "Epsilon of all norms.", vit::above(0));
    v("post_norm", post_norm,
      "BERT's form: norms behind each part and the tables, and a layer of its own in front of the head, which has a "
      "bias; off: GPT-2's, norms before each part and the head.");
    v("head", head, "Logits over the vocabulary; off: the tokens are the result.");
    v("tied_head", tied_head, "The head's weight is the token table.");
  }
  /// Errors (usage): num_heads does not divide embed_dim.
  void validate() const;
  int64_t head_dim() const { return embed_dim / num_heads; }
};

/// One layer. What its attentions look at is the caller's: all words of a caption, or what a state kept.
class TextLayer : public vit::Module {
 public:
  explicit TextLayer(const TextDecoderConfig& config);

  /// From a packed projection to the heads' output: [..., 3C] or [..., C] -> [..., C].
  using Mix = std::function<vit::Var(vit::Context&, const vit::Var&)>;
  /// x [..., C] -> [..., C]. `words` is given queries, keys and values [..., 3C]; `picture` queries [..., C].
  vit::Var forward(vit::Context& ctx, const vit::Var& x, const Mix& words, const Mix& picture) const;
  /// Keys and values of the picture: memory [B, M, Cm] -> [B, M, 2C].
  vit::Var memory_keys(vit::Context& ctx, const vit::Var& memory) const { return kv_->forward(ctx, memory); }

  void set_dropout(float rate) { dropout_ = rate; }

 private:
  using Part = std::function<vit::Var(const vit::Var& h, const vit::LinearOptions& skip)>;
  vit::Var add(vit::Context& ctx, const vit::Norm& norm, const vit::Var& x, const Part& part) const;

  bool post_norm_;
  float dropout_ = 0.0f;
  vit::Norm norm1_, norm_cross_, norm2_;
  vit::Linear qkv_, proj_;
  std::optional<vit::Linear> q_, kv_, cross_proj_;
  vit::Mlp mlp_;
};

class TextDecoder : public vit::Module {
 public:
  explicit TextDecoder(const TextDecoderConfig& config);

  /// ids i64 [B, T], mask i64 [B, T] (0: nobody looks there) or undefined, memory [B, M, Cm] or undefined without one
  /// -> tokens [B, T, C] behind the last norm. Observes "hidden.0", the embeddings, to "hidden.{depth}", the result,
  /// and each layer's "self_attn.probs" [B, H, T, T] and "cross_attn.probs" [B, H, T, M]. Errors: shapes do not match,
  /// an id outside the vocabulary, more tokens than positions.
  vit::Var features(vit::Context& ctx, const vit::Tensor& ids, const vit::Tensor& mask, const vit::Var& memory) const;
  /// features [..., C] -> logits [..., V]. Errors: there is no head.
  vit::Var predict(vit::Context& ctx, const vit::Var& features) const;

  /// As CaptionModel's begin() and step(), of memory [P, M, Cm].
  std::unique_ptr<DecoderState> begin(vit::Context& ctx, const vit::Tensor& memory, int64_t rows_per_picture) const;
  vit::Tensor step(vit::Context& ctx, DecoderState& state, const vit::Tensor& ids) const;

  /// Takes effect where Context::training is set.
  void set_training(const vit::TrainingOptions& options);
  const TextDecoderConfig& config() const { return config_; }

 private:
  /// The token table, which the head may read as well: both forms stay.
  struct Table : vit::Module {
    using Module::add_parameter;
    vit::Parameter weight;
    bool packs = false;
    vit::PackedWeight packed;
    void prepare() override;
  };
  /// ids with positions from `first` on -> [B, T, C].
  vit::Var embed(vit::Context& ctx, const vit::Tensor& ids, int64_t first) const;
  vit::Var run_layer(vit::Context& ctx, size_t index, const vit::Var& x, const vit::Var& memory,
                     const vit::Tensor& bias) const;

  TextDecoderConfig config_;
  Table tokens_, positions_;
  vit::Norm embed_norm_;
  std::deque<TextLayer> layers_;
  vit::Norm norm_;
  std::optional<vit::Linear> head_dense_, head_;
  vit::Norm head_norm_;
  vit::Parameter head_bias_;
  vit::TrainingOptions training_;
};

}  // namespace captioning
