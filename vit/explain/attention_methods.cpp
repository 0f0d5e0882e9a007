// Attention itself, attention rollout and gradient rollout (docs/explain.md).
#include <algorithm>
#include <cmath>

#include "vit/autograd/tape.h"
#include "vit/core/check.h"
#include "vit/explain/method.h"
#include "vit/explain/recorder.h"
#include "vit/explain/roles.h"
#include "vit/explain/token_flow.h"
#include "vit/image/cell_map.h"

namespace vit {

namespace {

constexpr const char* kNoAttention = "its output comes from no attention between places of the picture";

// ---- attention ----

/// Where a subject's attention can be seen: the modules and how each offers it.
struct SeenAttention {
  std::string module, ending;
};

/// Where queries look at the picture; without queries, all attention, that between channels too.
std::vector<SeenAttention> seen_attention(const Subject& subject) {
  std::vector<SeenAttention> all, crossing;
  for (const std::string& name : subject.offers())
    for (const char* ending : {".sampling_locations", ".probs", ".channel_values", ".spatial_probs"}) {
      const std::string module = without_ending(name, ending);
      if (module.empty() || subject.role_of(module) == AttentionRole::queries) continue;
      if (!all.empty() && all.back().module == module) continue;  // points say more than what they make of them
      all.push_back({module, ending});
      // A pool is the last layer among the others, a decoder's look at the picture is what is asked about.
      const bool pools = module.ends_with("attn_pool");
      if (!pools && subject.role_of(module) == AttentionRole::cross) crossing.push_back(all.back());
    }
  return crossing.empty() ? all : crossing;
}

/// Keeps one value, and the layout of its tokens.
class OneValue : public Observer {
 public:
  explicit OneValue(const SeenAttention& wanted)
      : name_(wanted.module + wanted.ending),
        heads_(wanted.module + ".channel_probs"),
        weights_name_(wanted.module + ".sampling_weights"),
        points_(wanted.ending == ".sampling_locations") {}
  bool wants(const std::string& name) override {
    return name == name_ || (name == heads_ && !value_.defined()) || (points_ && name == weights_name_) ||
           name == "layout" || name.ends_with(".layout");
  }
  void observe(const std::string& name, const Tensor& value) override {
    if (name == name_)
      value_ = value;
    else if (name == weights_name_)
      weights_ = value;
    else if (name == heads_)
      channel_heads_ = value.rank() == 4 ? value.size(1) : 1;
    else if (!value_.defined())
      layout_ = read_layout(value);
  }
  const Tensor& value() const { return value_; }
  const Tensor& weights() const { return weights_; }
  const TokenLayout& layout() const { return layout_; }
  int64_t channel_heads() const { return channel_heads_; }

 private:
  std::string name_, heads_, weights_name_;
  bool points_;
  Tensor value_, weights_;
  TokenLayout layout_;
  int64_t channel_heads_ = 1;
};

/// The points that the subject's queries chose, over all of the input.
Tensor sampled_points(const Subject& subject, const OneValue& seen, const Tensor& pixels,
                      const MethodOptions& options) {
  const std::vector<double> reading = subject.readout(AttentionRole::cross, seen.value().size(1), seen.layout());
  const Extent grid = point_grid({pixels.size(2), pixels.size(3)});
  Tensor map = Tensor::zeros({grid.height, grid.width});
  for (size_t query = 0; query < reading.size(); ++query) {
    if (reading[query] == 0.0) continue;
    const Tensor cells = cells_of_points(seen.value(), seen.weights(), static_cast<int64_t>(query),
                                         wanted_heads(options.head, seen.value().size(2)), grid);
    for (int64_t i = 0; i < map.numel(); ++i) map.f32()[i] += static_cast<float>(reading[query] * cells.f32()[i]);
  }
  return smoothed_cells(map);
}

/// Where what the channels let through lies: the length of each token [N, C], or of a head's part of it.
Tensor channel_energy(const OneValue& seen, const MethodOptions& options) {
  const int64_t tokens = seen.value().size(1), channels = seen.value().size(2), heads = seen.channel_heads();
  const std::array<int64_t, 2> range = wanted_heads(options.head, heads);
  std::vector<double> energy;
  for (int64_t n = 0; n < tokens; ++n) {
    double sum = 0.0;
    for (int64_t c = range[0] * channels / heads; c < range[1] * channels / heads; ++c) {
      const double value = seen.value().f32()[n * channels + c];
      sum += value * value;
    }
    energy.push_back(std::sqrt(sum));
  }
  return cells_of(energy, seen.layout());
}

Explanation explain_attention(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  const std::vector<SeenAttention> all = seen_attention(subject);
  const auto index = static_cast<size_t>(wanted_layer(options.layer, static_cast<int64_t>(all.size())));
  OneValue seen(all[index]);
  Context ctx;
  ctx.observer = &seen;
  static_cast<void>(subject.objective(ctx, pixels));
  check(seen.value().defined(), "explain: the model did not offer ", all[index].module);
  Explanation result{.map = {}, .layer = all[index].module};
  if (all[index].ending == ".probs") {
    const Tensor& value = seen.value();
    const Tensor matrix = fused_heads(value.slice(0, 1).view({value.size(1), value.size(2), value.size(3)}),
                                      options.head, options.head_fusion);
    const TokenLayout layout = subject.layout_of(all[index].module).value_or(seen.layout());
    result.map = read_row(subject, {.module = all[index].module, .layout = layout, .probs = matrix});
  } else if (all[index].ending == ".sampling_locations") {
    result.map = sampled_points(subject, seen, pixels, options);
    result.notes.emplace_back("points that deformable attention chose, widened by a cell");
  } else if (all[index].ending == ".spatial_probs") {
    const Tensor& value = seen.value();
    result.map = cells_of({value.f32(), value.f32() + value.numel() / value.size(0)}, seen.layout());
    result.notes.emplace_back("a gate on places, not attention between them");
  } else {
    result.map = channel_energy(seen, options);
    result.notes.emplace_back("attention between channels: the length of each token that it makes");
  }
  return result;
}

std::vector<std::string> attention_layers(const Subject& subject) {
  std::vector<std::string> modules;
  for (const SeenAttention& seen : seen_attention(subject)) modules.push_back(seen.module);
  return modules;
}

std::string refuse_attention(const Subject& subject) {
  if (!subject.attention_refusal().empty()) return subject.attention_refusal();
  return seen_attention(subject).empty() ? "it shows no attention to observers" : "";
}

// ---- rollouts ----

std::string refuse_rollout(const Subject& subject) {
  if (!subject.attention_refusal().empty()) return subject.attention_refusal();
  const std::vector<std::string> modules = modules_offering(subject, ".probs");
  const bool reaches = std::any_of(modules.begin(), modules.end(), [&](const std::string& module) {
    return subject.role_of(module) != AttentionRole::queries;
  });
  if (!reaches) return kNoAttention;
  if (!modules_offering(subject, ".sampling_locations").empty())
    return "its queries look at single points (deformable attention)";
  return merges_tokens(subject) ? "its blocks merge tokens, which then have no place of their own" : "";
}

std::string refuse_gradient_rollout(const Subject& subject) {
  const std::string reason = refuse_rollout(subject);
  return reason.empty() ? refuse_without_gradient(subject) : reason;
}

std::vector<std::string> token_modules(const Subject& subject) { return modules_offering(subject, ".probs"); }

/// The modules of the first options.layer + 1 attentions between tokens, or of all.
std::vector<std::string> rolled_modules(const Subject& subject, const MethodOptions& options) {
  std::vector<std::string> modules = token_modules(subject);
  modules.resize(static_cast<size_t>(wanted_layer(options.layer, static_cast<int64_t>(modules.size()))) + 1);
  return modules;
}

Explanation explain_rollout(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  const std::vector<std::string> modules = rolled_modules(subject, options);
  AttentionRecorder recorder(subject, {.wants = among(modules), .reduce = [&](const Tensor& probs) {
                                         Tensor matrix = fused_heads(probs, options.head, options.head_fusion);
                                         discard_weakest(matrix, options.discard_ratio);
                                         return matrix;
                                       }});
  Context ctx;
  ctx.observer = &recorder;
  static_cast<void>(subject.objective(ctx, pixels));
  return {.map = roll_back(subject, recorder.layers()), .layer = modules.front() + " to " + modules.back()};
}

/// Heads by their mean, what speaks against the subject left out (Gildenblat's vit-explain).
Tensor weighed_by_gradient(const Tensor& probs, const Tensor& gradient, const MethodOptions& options) {
  Tensor matrix = fused_products(probs, gradient, options.head, options.head_fusion, /*positive_only=*/false);
  for (float& value : matrix.span<float>()) value = std::max(value, 0.0f);
  discard_weakest(matrix, options.discard_ratio);
  return matrix;
}

Explanation explain_gradient_rollout(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  const std::vector<std::string> modules = rolled_modules(subject, options);
  const std::vector<RecordedAttention> layers = joined_attention(
      subject, pixels, modules,
      [&](const Tensor& probs, const Tensor& gradient) { return weighed_by_gradient(probs, gradient, options); });
  return {.map = roll_back(subject, layers), .layer = modules.front() + " to " + modules.back()};
}

VITKIT_REGISTER_METHOD("attention", .title = "Attention",
                       .summary = "what one layer's attention gives to each place, before the model goes on",
                       .source = "Vaswani et al. 2017; Dosovitskiy et al. 2021, appendix D.8", .needs_gradient = false,
                       .takes_head = true, .layers = attention_layers, .refusal = refuse_attention,
                       .explain = explain_attention);

VITKIT_REGISTER_METHOD("rollout", .title = "Attention rollout",
                       .summary = "attention of all layers multiplied, half of each layer being its skip connection",
                       .source = "Abnar, Zuidema 2020, Quantifying attention flow in transformers, section 3",
                       .needs_gradient = false, .takes_head = true, .layers = token_modules, .refusal = refuse_rollout,
                       .explain = explain_rollout);

VITKIT_REGISTER_METHOD("gradient_rollout", .title = "Gradient rollout",
                       .summary = "rollout of attention times its gradient: what of it speaks for the subject",
                       .source = "Gildenblat 2020, vit-explain; after Abnar, Zuidema 2020", .needs_gradient = true,
                       .takes_head = true, .layers = token_modules, .refusal = refuse_gradient_rollout,
                       .explain = explain_gradient_rollout);

}  // namespace

}  // namespace vit
