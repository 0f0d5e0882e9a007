// Class relevance (Chefer, Gur, Wolf 2021, "Generic attention-model explainability for interpreting bi-modal and
// encoder-decoder transformers"; for self-attention alone the rule of their earlier paper without its relevance of
// layers): docs/explain.md.
#include <algorithm>
#include <map>

#include "vit/autograd/tensor_ops.h"
#include "vit/core/check.h"
#include "vit/explain/method.h"
#include "vit/explain/roles.h"
#include "vit/explain/token_flow.h"
#include "vit/image/cell_map.h"

namespace vit {

namespace {

Tensor identity(int64_t n) {
  Tensor matrix = Tensor::zeros({n, n});
  for (int64_t i = 0; i < n; ++i) matrix.f32()[i * n + i] = 1.0f;
  return matrix;
}

/// In place: relevance += matrix product.
void add_product(Tensor& relevance, const Tensor& a, const Tensor& b) {
  Context ctx;
  relevance = add(ctx, relevance, matmul(ctx, a, b)).value();
}

/// Rows of R - I over their sums, plus I (eq. 8 and 9).
Tensor normalized(const Tensor& relevance) {
  Tensor result = relevance.clone();
  const int64_t n = relevance.size(0);
  for (int64_t i = 0; i < n; ++i) {
    float* row = result.f32() + i * n;
    row[i] -= 1.0f;
    double sum = 0.0;
    for (int64_t j = 0; j < n; ++j) sum += row[j];
    for (int64_t j = 0; j < n && sum > 0.0; ++j) row[j] = static_cast<float>(row[j] / sum);
    row[i] += 1.0f;
  }
  return result;
}

/// Models whose tokens all are one sequence: one row of the product of (A + I), from the last layer down (eq. 6).
Tensor among_tokens(const Subject& subject, const std::vector<RecordedAttention>& layers) {
  std::vector<FlowLayer> flow;
  for (const RecordedAttention& layer : layers) flow.push_back({layer.probs, layer.layout});
  const FlowLayer& last = flow.back();
  const std::vector<double> start = subject.readout(AttentionRole::picture, last.matrix.size(1), last.layout);
  return cells_of(flow_back(flow, start, FlowRule::relevance), flow.front().layout);
}

/// `probs` of the layers are matrices. Encoders and decoders: relevance of picture to picture, query to query, query to
/// picture (eq. 6, 7, 10).
Tensor through_queries(const Subject& subject, const std::vector<RecordedAttention>& layers) {
  Tensor picture, queries, crossing;
  TokenLayout layout;
  for (const RecordedAttention& layer : layers) {
    const AttentionRole role = subject.role_of(layer.module);
    const Tensor& matrix = layer.probs;
    const int64_t asking = matrix.size(0), tokens = matrix.size(1);
    if (role == AttentionRole::picture) {
      if (!picture.defined()) picture = identity(tokens);
      check(asking == tokens && picture.size(0) == tokens, "relevance: an encoder of changing numbers of tokens");
      add_product(picture, matrix, picture);
      layout = layer.layout;
      continue;
    }
    if (!queries.defined()) queries = identity(asking);
    if (role == AttentionRole::queries) {
      add_product(queries, matrix, queries);
      if (crossing.defined()) add_product(crossing, matrix, crossing);
      continue;
    }
    if (!picture.defined()) {
      picture = identity(tokens);
      layout = layer.layout;
    }
    if (!crossing.defined()) crossing = Tensor::zeros({asking, tokens});
    Context ctx;
    const Tensor seen = matmul(ctx, matrix, normalized(picture)).value();
    crossing = add(ctx, crossing, matmul(ctx, normalized(queries), seen, {.transpose_a = true})).value();
  }
  check(crossing.defined(), "relevance: the queries never look at the picture");
  return read_row(subject, {.module = layers.back().module, .layout = layout, .probs = crossing});
}

std::string refuse_relevance(const Subject& subject) {
  if (!subject.attention_refusal().empty()) return subject.attention_refusal();
  const std::vector<std::string> modules = modules_offering(subject, ".probs");
  if (std::none_of(modules.begin(), modules.end(),
                   [&](const std::string& module) { return subject.role_of(module) != AttentionRole::queries; }))
    return "its output comes from no attention between places of the picture";
  if (!modules_offering(subject, ".sampling_locations").empty())
    return "its queries look at single points (deformable attention)";
  if (merges_tokens(subject)) return "its blocks merge tokens, which then have no place of their own";
  return refuse_without_gradient(subject);
}

Explanation explain_relevance(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  std::vector<std::string> modules = modules_offering(subject, ".probs");
  const auto layer = static_cast<size_t>(wanted_layer(options.layer, static_cast<int64_t>(modules.size())));
  modules.resize(layer + 1);
  const std::vector<RecordedAttention> layers =
      joined_attention(subject, pixels, modules, [&](const Tensor& probs, const Tensor& gradient) {
        return fused_products(probs, gradient, options.head, HeadFusion::mean, /*positive_only=*/true);
      });
  const bool asks = std::any_of(layers.begin(), layers.end(), [&](const RecordedAttention& recorded) {
    return subject.role_of(recorded.module) != AttentionRole::picture;
  });
  return {.map = asks ? through_queries(subject, layers) : among_tokens(subject, layers),
          .layer = modules.front() + " to " + modules.back()};
}

VITKIT_REGISTER_METHOD(
    "relevance", .title = "Class relevance",
    .summary = "attention times its gradient, added up through all layers for one answer",
    .source = "Chefer, Gur, Wolf 2021, Generic attention-model explainability, section 3", .needs_gradient = true,
    .takes_head = true, .layers = [](const Subject& subject) { return modules_offering(subject, ".probs"); },
    .refusal = refuse_relevance, .explain = explain_relevance);

}  // namespace

}  // namespace vit
