// The methods of explanation, by name. Each makes a map of the model's input for one sample and one subject; it enters
// the registry at the end of its file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/registry.h"
#include "vit/core/tensor.h"
#include "vit/explain/subject.h"

namespace vit {

/// How attention heads become one matrix.
enum class HeadFusion { mean, min, max };
const std::vector<std::pair<HeadFusion, std::string>>& enum_names(HeadFusion);

struct MethodOptions {
  std::optional<int64_t> layer{};  ///< of those that the method looks at, from 0; none: the method's own choice
  std::optional<int64_t> head{};   ///< attention; none: `head_fusion`
  HeadFusion head_fusion = HeadFusion::mean;
  double discard_ratio = 0.0;  ///< rollouts: this share of each layer's weakest attention counts as none, [0, 1)
  int64_t steps = 100;         ///< integrated gradients: points on the path
  int64_t samples = 1000;      ///< RISE: masks
  int64_t batch_size = 8;      ///< inputs per forward pass of methods that need many
  uint64_t seed = 0;
};

struct Explanation {
  /// f32 [rows, columns]: values on a grid over all of the model's input, larger where the subject rests on it. As
  /// fine as the method makes it: a patch's, a feature map's, a pixel's.
  Tensor map;
  bool is_signed = false;  ///< values below 0 speak against the subject
  std::string layer{};     ///< what the method looked at, as observers see it: "blocks.11.attn"; empty: everything
  std::vector<std::string> notes{};  ///< what to know about this map: "completeness off by 2.1 %"
};

struct MethodEntry {
  std::string title{};    ///< "Grad-CAM"
  std::string summary{};  ///< a line: what the map shows
  std::string source{};   ///< paper
  bool needs_gradient = false;
  bool takes_head = false;  ///< `head` means something to it
  /// The layers that `layer` chooses from; not there: it chooses nothing.
  std::function<std::vector<std::string>(const Subject&)> layers{};
  /// Why the method cannot explain this subject ("there is no attention between positions"); empty: it can.
  std::function<std::string(const Subject&)> refusal{};
  /// pixels [1, channels, height, width]. Errors (usage): options that the model cannot serve (no such layer or head).
  std::function<Explanation(const Subject&, const Tensor& pixels, const MethodOptions&)> explain{};
};

Registry<MethodEntry>& method_registry();

/// The methods that can explain a subject, sorted.
std::vector<std::string> methods_for(const Subject& subject);

/// Errors (usage): an unknown method; one that does not apply (with those that do); no such layer; options out of
/// range.
void check_method(const std::string& method, const Subject& subject, const MethodOptions& options);

/// Runs a method. Errors (usage): as check_method; no such head.
Explanation explain(const std::string& method, const Subject& subject, const Tensor& pixels,
                    const MethodOptions& options = {});

/// At the end of a method's file: VITKIT_REGISTER_METHOD("gradcam", .title = ..., ...).
#define VITKIT_METHOD_CONCAT2(a, b) a##b
#define VITKIT_METHOD_CONCAT(a, b) VITKIT_METHOD_CONCAT2(a, b)
#define VITKIT_REGISTER_METHOD(name, ...)                                                        \
  [[maybe_unused]] static const bool VITKIT_METHOD_CONCAT(vitkit_method_registered_, __LINE__) = \
      ::vit::method_registry().add(name, ::vit::MethodEntry{__VA_ARGS__})

}  // namespace vit
