#include "detection/denoising.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "vit/core/check.h"
#include "vit/image/boxes.h"

namespace detection {

namespace {

/// Where a query stands among the D of an image.
struct Slots {
  int64_t most;    ///< targets of the image that has most
  int64_t groups;  ///< of 2 * most queries
  int64_t count() const { return 2 * most * groups; }
  bool negative(int64_t query) const { return query / most % 2 == 1; }
  int64_t target(int64_t query) const { return query % most; }
};

/// The centre form of a box whose corners were moved at random; two numbers for each corner are always drawn.
std::array<float, 4> noisy_box(const float* box, bool negative, float box_noise, vit::Rng& rng) {
  vit::Corners corners = vit::to_corners({box[0], box[1], box[2], box[3]});
  for (size_t i = 0; i < 4; ++i) {
    const double reach = 0.5 * static_cast<double>(box[2 + i % 2]) * box_noise;
    const double sign = rng.uniform() < 0.5f ? -1.0 : 1.0;
    const double part = rng.uniform() + (negative ? 1.0 : 0.0);
    corners[i] = std::clamp(corners[i] + sign * part * reach, 0.0, 1.0);
  }
  const vit::CenterBox moved = vit::to_center(corners);
  std::array<float, 4> result{};
  for (size_t i = 0; i < 4; ++i) result[i] = static_cast<float>(moved[i]);
  return result;
}

/// Queries see their own group and the model's queries; these see only themselves.
vit::Tensor group_mask(const Slots& slots, int64_t matched) {
  const int64_t noisy = slots.count(), all = noisy + matched, group = 2 * slots.most;
  vit::Tensor mask = vit::Tensor::zeros({all, all});
  for (int64_t row = 0; row < all; ++row)
    for (int64_t col = 0; col < noisy; ++col)
      if (row >= noisy || row / group != col / group)
        mask.f32()[row * all + col] = -std::numeric_limits<float>::infinity();
  return mask;
}

void fill_image(const vit::BoxTargets& targets, const Slots& slots, const DenoisingOptions& options, vit::Rng& rng,
                int64_t* labels, float* boxes, std::vector<std::pair<int64_t, int64_t>>& matches) {
  for (int64_t query = 0; query < slots.count(); ++query) {
    const int64_t target = slots.target(query);
    const bool there = target < targets.size(), negative = slots.negative(query);
    labels[query] = options.num_classes;
    std::fill_n(boxes + 4 * query, 4, 0.0f);
    if (!there) continue;
    const int64_t label = targets.labels.data<int64_t>()[target];
    vit::check(0 <= label && label < options.num_classes, "denoising: label ", label, " is outside [0, ",
               options.num_classes, ")");
    const bool relabelled = rng.uniform() < 0.5f * options.label_noise;
    const auto other = static_cast<int64_t>(rng.uniform() * static_cast<float>(options.num_classes));
    labels[query] = relabelled ? std::min(other, options.num_classes - 1) : label;
    const std::array<float, 4> box = noisy_box(targets.boxes.f32() + 4 * target, negative, options.box_noise, rng);
    std::copy(box.begin(), box.end(), boxes + 4 * query);
    if (!negative) matches.emplace_back(query, target);
  }
}

}  // namespace

std::optional<DenoisingQueries> make_denoising_queries(const std::vector<vit::BoxTargets>& targets,
                                                       const DenoisingOptions& options, vit::Rng& rng) {
  Slots slots{0, 1};
  for (const vit::BoxTargets& image : targets) slots.most = std::max(slots.most, image.size());
  if (slots.most == 0 || options.queries == 0) return std::nullopt;
  slots.groups = std::max<int64_t>(1, options.queries / slots.most);
  const auto batch = static_cast<int64_t>(targets.size());
  DenoisingQueries queries{.labels = vit::Tensor::empty({batch, slots.count()}, vit::DType::i64),
                           .boxes = vit::Tensor::empty({batch, slots.count(), 4}),
                           .mask = group_mask(slots, options.matched_queries),
                           .matches{},
                           .groups = slots.groups};
  queries.matches.resize(targets.size());
  for (int64_t b = 0; b < batch; ++b)
    fill_image(targets[static_cast<size_t>(b)], slots, options, rng, queries.labels.data<int64_t>() + b * slots.count(),
               queries.boxes.f32() + 4 * b * slots.count(), queries.matches[static_cast<size_t>(b)]);
  return queries;
}

DenoisingEmbedding::DenoisingEmbedding(int64_t num_classes, int64_t dim) {
  add_parameter("weight", weight_, {num_classes + 1, dim}, vit::Init::normal(1.0f));
}

vit::Var DenoisingEmbedding::forward(vit::Context& ctx, const vit::Tensor& labels) const {
  return vit::embedding(ctx, weight_.value, labels);
}

void DenoisingEmbedding::replace(int64_t num_classes) {
  weight_.shape = {num_classes + 1, weight_.shape[1]};
  weight_.value = {};
}

}  // namespace detection
