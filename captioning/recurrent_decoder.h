// The recurrent decoder of "Show, attend and tell" (Xu et al. 2015, section 3.1.2): an LSTM that looks at regions
// before every word.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "captioning/picture_rows.h"
#include "vit/core/config_node.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace captioning {

struct RecurrentDecoderOptions {
  int64_t vocab_size = 0;       ///< V
  int64_t region_dim = 0;       ///< C of the regions
  int64_t embed_dim = 0;        ///< E of the words
  int64_t hidden_dim = 0;       ///< D of the LSTM, and of what attention hands it
  vit::ConfigNode attention{};  ///< how the hidden state looks at the regions; nothing: additive
  int64_t num_heads = 1;        ///< of mechanisms that have heads
  float dropout = 0.0f;         ///< of words and of what the word is chosen by, in training
};

/// h_0, c_0 = tanh(W mean(a)); then for every word y, by the hidden state before it
///   z = beta attention(h, a), beta = sigmoid(w h)        (sections 4.2 and 4.2.1)
///   i, f, o, g = W [E y; h; z]; c = f c + i g; h = o tanh(c)      (eq. 1 to 3)
///   logits = L_o tanh(E y + L [h; z])                     (eq. 7, with the tanh of the authors' code)
/// The forget gate starts open, its bias being 1 more (Jozefowicz et al. 2015, section 2.2).
/// Parameters: word_embeddings.weight, init.*, gate.*, attn.*, word_gates.*, state_gates.*, deep.*, output.*.
class RecurrentDecoder : public vit::Module {
 public:
  /// Errors (usage): as vit::build_attention.
  explicit RecurrentDecoder(const RecurrentDecoderOptions& options);

  /// Hidden state and cell, [rows, D] each.
  struct State {
    vit::Var hidden, cell;
  };
  /// Of the regions [B, M, C] alone.
  State initial(vit::Context& ctx, const vit::Var& regions) const;

  /// ids i64 [R, T] behind `state`, which moves on; regions [G, M, C] with R / G neighbouring rows each -> [R, T, V].
  /// Observed as "attn.probs": [R, H, T, M].
  vit::Var forward(vit::Context& ctx, const vit::Var& regions, const std::vector<vit::Grid>& grids,
                   const vit::Tensor& ids, State& state) const;

  vit::Attention& attention() { return *attention_; }
  /// Another number of words; the names of the parameters that are new.
  std::vector<std::string> replace_vocabulary(int64_t vocab_size);

 private:
  struct Look {
    vit::Var context;   ///< z, [R, D]
    vit::Tensor probs;  ///< [R, H, 1, M], where an observer wants it
  };
  Look look(vit::Context& ctx, const vit::Var& hidden, const vit::Var& regions,
            const std::vector<vit::Grid>& grids) const;
  void advance(vit::Context& ctx, const vit::Var& word_gates, const vit::Var& context, State& state) const;

  RecurrentDecoderOptions options_;
  vit::Parameter word_embeddings_;
  vit::Linear init_, gate_, word_gates_, state_gates_, deep_;
  std::unique_ptr<vit::Attention> attention_;
  std::optional<vit::Linear> output_;
};

}  // namespace captioning
