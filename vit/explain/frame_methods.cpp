// Methods for models of clips: what of the answer goes with a frame, and what attention along time gives to it.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "vit/core/check.h"
#include "vit/explain/frames.h"
#include "vit/explain/method.h"
#include "vit/explain/recorder.h"
#include "vit/explain/roles.h"
#include "vit/explain/token_flow.h"
#include "vit/explain/variants.h"
#include "vit/image/cell_map.h"

namespace vit {

namespace {

std::string refuse_pictures(const Subject& subject) {
  return frames_of(subject) == 0 ? "it sees pictures, and this is about the frames of clips" : "";
}

// ---- frame occlusion ----

/// Puts frame `from` in the place of frame `to` of a strip [channels, T * height, width].
void repeat_frame(float* strip, int64_t channels, int64_t frames, int64_t plane, int64_t from, int64_t to) {
  for (int64_t c = 0; c < channels; ++c)
    std::memcpy(strip + (c * frames + to) * plane, strip + (c * frames + from) * plane,
                static_cast<size_t>(plane) * sizeof(float));
}

/// A frame that is taken away leaves its neighbour standing for another moment: what is left could have been filmed,
/// which a grey frame could not.
Explanation explain_frame_occlusion(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  const int64_t frames = frames_of(subject), channels = pixels.size(1);
  const int64_t plane = pixels.size(2) / frames * pixels.size(3);
  struct Swap {
    int64_t frame, neighbour;
  };
  std::vector<Swap> swaps;
  for (int64_t t = 0; t < frames; ++t)
    for (const int64_t other : {t - 1, t + 1})
      if (other >= 0 && other < frames) swaps.push_back({t, other});
  const auto count = static_cast<int64_t>(swaps.size());
  // The last copy is the clip as it is.
  const std::vector<double> scores =
      score_variants(subject, pixels.shape(), count + 1, options.batch_size, [&](int64_t index, float* changed) {
        std::copy_n(pixels.f32(), pixels.numel(), changed);
        if (index == count) return;
        const Swap& swap = swaps[static_cast<size_t>(index)];
        repeat_frame(changed, channels, frames, plane, swap.neighbour, swap.frame);
      });
  Explanation result{.map = Tensor::zeros({frames, 1}), .is_signed = true};
  for (int64_t t = 0; t < frames; ++t) {
    double fall = 0.0, tries = 0.0;
    for (size_t i = 0; i < swaps.size(); ++i) {
      if (swaps[i].frame != t) continue;
      fall += scores.back() - scores[i];
      tries += 1.0;
    }
    result.map.f32()[t] = static_cast<float>(fall / std::max(1.0, tries));
  }
  result.notes.push_back(str(count, " clips in which one frame is its neighbour's copy"));
  return result;
}

VITKIT_REGISTER_METHOD("frame_occlusion", .title = "Frame occlusion",
                       .summary = "how far the score falls where a frame of the clip is its neighbour's copy",
                       .source = "Zeiler and Fergus 2014, section 4.2, along time instead of space",
                       .refusal = refuse_pictures, .explain = explain_frame_occlusion);

// ---- attention along time ----

std::vector<std::string> temporal_modules(const Subject& subject) {
  std::vector<std::string> modules;
  for (const std::string& module : modules_offering(subject, ".probs"))
    if (module.ends_with("temporal_attn")) modules.push_back(module);
  return modules;
}

std::string refuse_without_time(const Subject& subject) {
  const std::string reason = refuse_pictures(subject);
  if (!reason.empty()) return reason;
  return temporal_modules(subject).empty() ? "nothing in it attends along time alone" : "";
}

/// What the other frames of its place give to each token of a layer, per asking token: [N].
std::vector<double> received(const Tensor& matrix) {
  const int64_t tokens = matrix.size(0);
  std::vector<double> sums(static_cast<size_t>(tokens), 0.0);
  for (int64_t q = 0; q < tokens; ++q)
    for (int64_t k = 0; k < tokens; ++k)
      if (q != k) sums[static_cast<size_t>(k)] += matrix.f32()[q * tokens + k] / static_cast<double>(tokens);
  return sums;
}

Explanation explain_temporal_attention(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  std::vector<std::string> modules = temporal_modules(subject);
  if (options.layer)
    modules = {modules[static_cast<size_t>(wanted_layer(options.layer, static_cast<int64_t>(modules.size())))]};
  AttentionRecorder recorder(subject, {.wants = among(modules), .reduce = [&](const Tensor& probs) {
                                         return fused_heads(probs, options.head, options.head_fusion);
                                       }});
  Context ctx;
  ctx.observer = &recorder;
  static_cast<void>(subject.objective(ctx, pixels));
  std::vector<double> sums;
  for (const RecordedAttention& layer : recorder.layers()) {
    const std::vector<double> given = received(layer.probs);
    sums.resize(given.size(), 0.0);
    for (size_t i = 0; i < given.size(); ++i) sums[i] += given[i] / static_cast<double>(modules.size());
  }
  return {.map = cells_of(sums, recorder.layers().front().layout),
          .layer = modules.size() == 1 ? modules.front() : modules.front() + " to " + modules.back()};
}

VITKIT_REGISTER_METHOD("temporal_attention", .title = "Temporal attention",
                       .summary = "what attention along time gives to each patch from the other frames, all layers",
                       .source = "Bertasius et al. 2021, section 3, divided space-time attention",
                       .layers = temporal_modules, .refusal = refuse_without_time,
                       .explain = explain_temporal_attention);

}  // namespace

}  // namespace vit
