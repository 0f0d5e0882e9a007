// Observers of explanations: attention with the layout of its tokens, and maps with their gradients.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "vit/core/context.h"
#include "vit/explain/subject.h"

namespace vit {

/// One attention of a pass, of the first sample.
struct RecordedAttention {
  std::string module{};  ///< "blocks.3.attn"
  TokenLayout layout{};  ///< of the tokens that are looked at
  Tensor probs{};        ///< f32 [H, Nq, Nk], or what RecorderOptions::reduce made of it
  Tensor gradient{};     ///< the objective's, f32 [H, Nq, Nk]; undefined where there is none
  bool reached = false;  ///< a gradient came
};

struct RecorderOptions {
  /// Which modules' probabilities are wanted; undefined: all.
  std::function<bool(const std::string& module)> wants{};
  bool gradients = false;
  /// Applied to probs [H, Nq, Nk] as soon as they are there, so that a layer's heads need not be kept; undefined:
  /// nothing.
  std::function<Tensor(const Tensor& probs)> reduce{};
  /// Applied to probs and their gradient as soon as both are there; probs become its result, the gradient is let go.
  std::function<Tensor(const Tensor& probs, const Tensor& gradient)> join{};
};

/// Records attention in the order of the pass.
class AttentionRecorder : public Observer {
 public:
  AttentionRecorder(const Subject& subject, RecorderOptions options)
      : subject_(subject), options_(std::move(options)) {}

  bool wants(const std::string& name) override;
  void observe(const std::string& name, const Tensor& value) override;

  const std::vector<RecordedAttention>& layers() const { return layers_; }

 private:
  TokenLayout layout_of(const std::string& module) const;
  const Subject& subject_;
  RecorderOptions options_;
  std::vector<RecordedAttention> layers_;
  std::map<std::string, TokenLayout> layouts_;
  TokenLayout latest_;
};

/// "blocks.3.attn.probs" without its ending; empty where the name has another one.
std::string without_ending(const std::string& name, const std::string& ending);

/// The modules of a subject that offer something with this ending (".probs"), in order.
std::vector<std::string> modules_offering(const Subject& subject, const std::string& ending);

/// The layout that "layout" observes.
TokenLayout read_layout(const Tensor& value);

}  // namespace vit
