#include "vit/explain/roles.h"

#include <algorithm>
#include <numeric>

#include "vit/autograd/tape.h"
#include "vit/core/check.h"
#include "vit/explain/token_flow.h"

namespace vit {

std::function<bool(const std::string&)> among(std::vector<std::string> modules) {
  return [modules = std::move(modules)](const std::string& module) {
    return std::find(modules.begin(), modules.end(), module) != modules.end();
  };
}

bool merges_tokens(const Subject& subject) {
  const std::vector<std::string>& names = subject.offers();
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return name.ends_with("merge_source"); });
}

std::string refuse_without_gradient(const Subject& subject) {
  // Which mechanisms offer their gradient is only known where a tape records.
  std::vector<std::string> missing;
  const std::vector<std::string> with = modules_offering(subject, ".probs.grad");
  for (const std::string& module : modules_offering(subject, ".probs"))
    if (std::find(with.begin(), with.end(), module) == with.end())
      return "the attention of " + module + " has no gradient to show";
  return "";
}

Tensor read_row(const Subject& subject, const RecordedAttention& layer) {
  const int64_t asking = layer.probs.size(0), tokens = layer.probs.size(1);
  const std::vector<double> reading = subject.readout(subject.role_of(layer.module), asking, layer.layout);
  std::vector<double> row(static_cast<size_t>(tokens), 0.0);
  for (int64_t i = 0; i < asking; ++i)
    for (int64_t j = 0; j < tokens; ++j)
      row[static_cast<size_t>(j)] += reading[static_cast<size_t>(i)] * layer.probs.f32()[i * tokens + j];
  return cells_of(row, layer.layout);
}

Tensor roll_back(const Subject& subject, const std::vector<RecordedAttention>& layers) {
  std::vector<double> queries, values;  // over queries, and over the tokens of `layout`
  TokenLayout layout;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const int64_t asking = layer->probs.size(0), tokens = layer->probs.size(1);
    const AttentionRole role = subject.role_of(layer->module);
    if (role != AttentionRole::picture && queries.empty()) queries = subject.readout(role, asking, layer->layout);
    if (role == AttentionRole::queries) {
      queries = through_layer(queries, layer->probs, FlowRule::rollout);
      continue;
    }
    if (values.empty())
      values = role == AttentionRole::cross ? std::vector<double>(static_cast<size_t>(tokens), 0.0)
                                            : subject.readout(role, tokens, layer->layout);
    else
      values = on_layout(values, layout, layer->layout, tokens);
    layout = layer->layout;
    if (role == AttentionRole::picture) {
      values = through_layer(values, layer->probs, FlowRule::rollout);
      continue;
    }
    for (int64_t q = 0; q < asking; ++q) {
      const float* row = layer->probs.f32() + q * tokens;
      double& share = queries[static_cast<size_t>(q)];
      share /= std::accumulate(row, row + tokens, 1.0);
      for (int64_t j = 0; j < tokens; ++j) values[static_cast<size_t>(j)] += share * row[j];
    }
  }
  return cells_of(values, layout);
}

namespace {

void check_reached(const std::vector<RecordedAttention>& layers) {
  check(std::any_of(layers.begin(), layers.end(), [](const RecordedAttention& layer) { return layer.reached; }),
        "explain: no gradient came to any attention");
}

void forward_and_back(const Subject& subject, const Var& pixels, Observer* observer) {
  Context ctx;
  ctx.observer = observer;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var answer = subject.objective(ctx, pixels);
  tape.backward(answer, Tensor::full(answer.shape(), 1.0f));
}

}  // namespace

Tensor input_gradient(const Subject& subject, const Tensor& pixels) {
  const Var input = Var::leaf(pixels);
  forward_and_back(subject, input, nullptr);
  check(input.grad().defined(), "explain: ", subject.model().info().name, " has no gradient of its pixels");
  return input.grad();
}

void run_back(const Subject& subject, const Tensor& pixels, Observer& observer) {
  forward_and_back(subject, Var(pixels), &observer);
}

std::vector<RecordedAttention> attention_with_gradient(const Subject& subject, const Tensor& pixels,
                                                       const std::vector<std::string>& modules) {
  AttentionRecorder recorder(subject, {.wants = among(modules), .gradients = true});
  run_back(subject, pixels, recorder);
  std::vector<RecordedAttention> layers = recorder.layers();
  // What does not lead to the answer has no gradient.
  for (RecordedAttention& layer : layers)
    if (!layer.reached) layer.gradient = Tensor::zeros(layer.probs.shape());
  check_reached(layers);
  return layers;
}

std::vector<RecordedAttention> joined_attention(
    const Subject& subject, const Tensor& pixels, const std::vector<std::string>& modules,
    const std::function<Tensor(const Tensor& probs, const Tensor& gradient)>& join) {
  AttentionRecorder recorder(subject, {.wants = among(modules), .gradients = true, .join = join});
  run_back(subject, pixels, recorder);
  std::vector<RecordedAttention> layers = recorder.layers();
  for (RecordedAttention& layer : layers)
    if (!layer.reached) layer.probs = join(layer.probs, Tensor::zeros(layer.probs.shape()));
  check_reached(layers);
  return layers;
}

}  // namespace vit
