// The head of timm's convolutional and hybrid models: pooling, and where they are wanted a norm after it and a hidden
// layer (timm's ClassifierHead and NormMlpClassifierHead).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vit/heads/classifier.h"
#include "vit/nn/map_norm.h"

namespace vit {

struct NormMlpHeadOptions {
  int64_t dim = 0;          ///< C
  int64_t num_classes = 0;  ///< K; 0: the result is what the classifier would read
  Pool pool = Pool::avg;    ///< avg, max or avgmax: a map has no class token
  std::optional<MapNormKind> norm{};
  float norm_eps = 1e-6f;
  std::optional<int64_t> hidden_size{};  ///< width of pre_logits, with tanh
};

/// Parameters: norm.*, pre_logits.fc.*, fc.*. Observed: "pre_logits".
class NormMlpHead : public Module {
 public:
  /// Errors (usage): a pool that needs a class token.
  explicit NormMlpHead(const NormMlpHeadOptions& options);

  /// x [B, height, width, C] or [B, N, C] -> logits [B, K]
  Var forward(Context& ctx, const Var& x) const;
  /// Dropout before the classifier, where Context::training is set.
  void set_dropout(float drop_rate) { drop_rate_ = drop_rate; }
  /// A classifier for another number of classes, without values; the names of its parameters.
  std::vector<std::string> replace(int64_t num_classes);

 private:
  /// The classifier, which replace() exchanges.
  struct Classifier : Module {
    std::unique_ptr<Linear> fc;
    void set(int64_t inputs, int64_t num_classes);
  };
  Var pool(Context& ctx, const Var& tokens) const;

  NormMlpHeadOptions options_;
  std::optional<MapNorm> norm_;
  std::optional<Linear> pre_logits_;
  Classifier classifier_;
  float drop_rate_ = 0.0f;
};

}  // namespace vit
