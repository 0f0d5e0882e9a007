// Additive attention (Bahdanau, Cho, Bengio 2015, "Neural machine translation by jointly learning to align and
// translate", section 3.1 and appendix A.1.2): a small network with one hidden layer scores each pair.
#pragma once

#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace vit {

/// w^T tanh(W q_t + U m_j). Parameters: query (W), key (U), score (w).
class AdditiveScore : public Module {
 public:
  AdditiveScore(int64_t query_dim, int64_t memory_dim, int64_t hidden);
  /// queries [B, T, Cq], memory [B, M, Cm] -> [B, 1, T, M]; in between stand T M hidden vectors.
  Var forward(Context& ctx, const Var& queries, const Var& memory) const;

 private:
  int64_t hidden_;
  Linear query_, key_, score_;
};

}  // namespace vit
