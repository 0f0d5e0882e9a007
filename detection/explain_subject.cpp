#include "detection/explain_subject.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "detection/model.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/check.h"
#include "vit/core/softmax.h"
#include "vit/explain/recorder.h"

namespace detection {

using vit::Tensor;
using vit::Var;

namespace {

/// The same mask for every sample of a batch.
Tensor for_batch(const Tensor& mask, int64_t batch) {
  if (!mask.defined() || batch == 1) return mask;
  Tensor all = Tensor::empty({batch, mask.size(1), mask.size(2)}, mask.dtype());
  for (int64_t b = 0; b < batch; ++b)
    std::copy_n(mask.data<int64_t>(), mask.numel(), all.data<int64_t>() + b * mask.numel());
  return all;
}

}  // namespace

DetectionSubject::DetectionSubject(std::shared_ptr<const vit::ExplainedModel> model, const Detection& found,
                                   vit::Extent size, Tensor pixel_mask, std::string label)
    : model_(std::move(model)),
      found_(found),
      size_(size),
      pixel_mask_(std::move(pixel_mask)),
      label_(std::move(label)) {
  if (!dynamic_cast<const DetectionModel*>(&model_->fast()))
    vit::fail_usage(model_->fast().info().name, " is no detector");
}

const DetectionModel& DetectionSubject::detector() const { return dynamic_cast<const DetectionModel&>(model()); }

std::vector<double> DetectionSubject::agreement(const Tensor& logits, const Tensor& boxes, int64_t b) const {
  const int64_t queries = logits.size(1), classes = logits.size(2);
  std::vector<double> all;
  for (int64_t q = 0; q < queries; ++q) {
    const float *row = logits.f32() + (b * queries + q) * classes, *box = boxes.f32() + (b * queries + q) * 4;
    const double probability = detector().scoring() == Scoring::softmax
                                   ? vit::softmax_probability(row, classes, found_.index)
                                   : 1.0 / (1.0 + std::exp(-static_cast<double>(row[found_.index])));
    const auto width = static_cast<double>(size_.width), height = static_cast<double>(size_.height);
    const vit::Corners corners = vit::to_corners({box[0] * width, box[1] * height, box[2] * width, box[3] * height});
    all.push_back(probability * vit::box_iou(corners, found_.box));
  }
  return all;
}

Var DetectionSubject::objective(vit::Context& ctx, const Var& pixels) const {
  const auto& model = dynamic_cast<const DetectionModel&>(model_->for_context(ctx));
  const int64_t batch = pixels.size(0);
  const DetectionOutput output = model.detect(ctx, {.images = pixels, .pixel_mask = for_batch(pixel_mask_, batch)});
  const DetectionLevel& level = output.levels.back();
  const Var logits = vit::slice_features(ctx, level.logits, found_.index, found_.index + 1);
  Tensor query = Tensor::empty({batch, 1}, vit::DType::i64);
  std::fill_n(query.data<int64_t>(), batch, found_.query);
  // Queries that the encoder chooses have no place of their own: the one that stands for the object now is taken.
  for (int64_t b = 0; output.proposals && b < batch; ++b) {
    const std::vector<double> all = agreement(level.logits.value(), level.boxes.value(), b);
    query.data<int64_t>()[b] = std::max_element(all.begin(), all.end()) - all.begin();
  }
  return vit::reshape(ctx, vit::gather_tokens(ctx, logits, query), {batch});
}

std::vector<double> DetectionSubject::scores(const Tensor& pixels) const {
  vit::Context ctx;
  const DetectionLevel level =
      detector().detect(ctx, {.images = pixels, .pixel_mask = for_batch(pixel_mask_, pixels.size(0))}).levels.back();
  std::vector<double> scores;
  for (int64_t b = 0; b < pixels.size(0); ++b) {
    const std::vector<double> all = agreement(level.logits.value(), level.boxes.value(), b);
    scores.push_back(*std::max_element(all.begin(), all.end()));
  }
  return scores;
}

const std::vector<std::string>& DetectionSubject::offers() const {
  return model_->offers([this](vit::Context& ctx, const Tensor& pixels) {
    static_cast<void>(detector().detect(ctx, {.images = pixels}));
  });
}

bool DetectionSubject::has_decoder() const {
  // Where the queries are tokens among the others, one attention is everything.
  for (int64_t layer = 0; layer < detector().attention_layers(); ++layer) {
    const QueryAttention names = detector().query_attention(layer);
    if (names.sampled || names.layout != names.module + ".layout") return true;
  }
  return false;
}

vit::AttentionRole DetectionSubject::role_of(const std::string& module) const {
  if (!has_decoder()) return vit::AttentionRole::picture;
  for (int64_t layer = 0; layer < detector().attention_layers(); ++layer)
    if (detector().query_attention(layer).module == module) return vit::AttentionRole::cross;
  return module.starts_with("decoder") ? vit::AttentionRole::queries : vit::AttentionRole::picture;
}

std::vector<double> DetectionSubject::readout(vit::AttentionRole role, int64_t tokens,
                                              const vit::TokenLayout& layout) const {
  const int64_t queries = detector().num_queries();
  const bool among_others = role == vit::AttentionRole::picture && !has_decoder();
  if (tokens < queries || (role == vit::AttentionRole::picture && !among_others))
    return Subject::readout(role, tokens, layout);
  std::vector<double> weights(static_cast<size_t>(tokens), 0.0);
  weights[static_cast<size_t>(tokens - queries + found_.query)] = 1.0;
  return weights;
}

std::unique_ptr<vit::Subject> DetectionSubject::randomized(uint64_t seed) const {
  return std::make_unique<DetectionSubject>(model_->randomized(seed), found_, size_, pixel_mask_, label_);
}

}  // namespace detection
