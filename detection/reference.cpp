#include "detection/reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <regex>

#include "detection/model.h"
#include "detection/postprocess.h"
#include "vit/io/safetensors.h"

namespace detection {

namespace {

using vit::check;
using vit::Tensor;

/// The parts of "post.thr0.3.1.boxes" (threshold 0.3, picture 1) and "post.1.boxes" (no threshold).
struct PostName {
  double threshold = -std::numeric_limits<double>::infinity();
  int64_t picture = 0;
  std::string kind;
};

std::optional<PostName> parse_post_name(const std::string& name) {
  static const std::regex pattern(R"(post\.(?:thr([0-9.]+)\.)?([0-9]{1,6})\.(scores|labels|boxes))");
  std::smatch found;
  if (!std::regex_match(name, found, pattern)) return std::nullopt;
  PostName parts{.picture = std::stoll(found[2]), .kind = found[3]};
  if (found[1].matched) parts.threshold = std::stod(found[1]);
  return parts;
}

Tensor as_integers(const Tensor& stored) {
  const Tensor values = vit::to_f32(stored);
  Tensor result = Tensor::empty(values.shape(), vit::DType::i64);
  for (int64_t i = 0; i < values.numel(); ++i) result.data<int64_t>()[i] = std::llround(values.f32()[i]);
  return result;
}

Tensor part_of(const std::vector<Detection>& found, const std::string& kind) {
  const auto count = static_cast<int64_t>(found.size());
  Tensor part = kind == "boxes"    ? Tensor::empty({count, 4})
                : kind == "labels" ? Tensor::empty({count}, vit::DType::i64)
                                   : Tensor::empty({count});
  for (int64_t i = 0; i < count; ++i) {
    const Detection& d = found[static_cast<size_t>(i)];
    if (kind == "boxes")
      std::copy(d.box.begin(), d.box.end(), part.f32() + 4 * i);
    else if (kind == "labels")
      part.data<int64_t>()[i] = d.index;
    else
      part.f32()[i] = static_cast<float>(d.score);
  }
  return part;
}

/// Post-processes for the names that are wanted, as the run's file was made.
class PostRun {
 public:
  PostRun(const DetectionModel& model, const DetectionLevel& level, const vit::ReferenceRun& run)
      : model_(model), logits_(level.logits.value()), boxes_(level.boxes.value()), run_(run), top_k_(model.top_k()) {
    // A file whose lowest threshold keeps everything tells where its author cut.
    for (const auto& [name, tensor] : run.inputs)
      if (const auto parts = parse_post_name(name); parts && parts->threshold <= 0.0 && parts->kind == "scores")
        top_k_ = tensor.size(0);
  }

  Tensor part(const PostName& name) const {
    check(name.picture < logits_.size(0), "there is no picture ", name.picture, " in a batch of ", logits_.size(0));
    return part_of(detections(name, size_of(name.picture)), name.kind);
  }

 private:
  std::vector<Detection> detections(const PostName& name, vit::Extent size) const {
    return postprocess(logits_, boxes_, name.picture, model_.scoring(), top_k_, size, {.threshold = name.threshold});
  }

  vit::Extent size_of(int64_t picture) const {
    const auto sizes = run_.inputs.find("post.target_sizes");
    if (sizes == run_.inputs.end()) return measured_size(picture);
    check(sizes->second.shape() == vit::Shape({logits_.size(0), 2}), "post.target_sizes must be [", logits_.size(0),
          ", 2], got ", sizes->second.shape());
    const Tensor extents = as_integers(sizes->second);
    return {extents.data<int64_t>()[2 * picture], extents.data<int64_t>()[2 * picture + 1]};
  }

  /// The whole numbers of pixels that the reference's longest list of boxes is nearest to, as multiples of ours.
  vit::Extent measured_size(int64_t picture) const {
    std::optional<PostName> best;
    Tensor reference;
    for (const auto& [name, tensor] : run_.inputs) {
      const auto parts = parse_post_name(name);
      if (!parts || parts->picture != picture || parts->kind != "boxes") continue;
      if (reference.defined() && tensor.size(0) <= reference.size(0)) continue;
      best = parts;
      reference = vit::to_f32(tensor);
    }
    if (!best) return {1, 1};
    const Tensor ours = part_of(detections(*best, {1, 1}), "boxes");
    if (!(ours.shape() == reference.shape())) return {1, 1};
    std::array<double, 2> product{}, square{};
    for (int64_t i = 0; i < ours.numel(); ++i) {
      product[i % 2] += static_cast<double>(ours.f32()[i]) * reference.f32()[i];
      square[i % 2] += static_cast<double>(ours.f32()[i]) * ours.f32()[i];
    }
    const auto pixels = [&](size_t axis) {
      return square[axis] > 0.0 ? std::llround(product[axis] / square[axis]) : 1;
    };
    return {pixels(1), pixels(0)};
  }

  const DetectionModel& model_;
  const Tensor logits_, boxes_;
  const vit::ReferenceRun& run_;
  int64_t top_k_;
};

}  // namespace

const std::map<std::string, vit::ReferenceOutput>& output_reference_names() {
  static const std::map<std::string, vit::ReferenceOutput> names = [] {
    std::map<std::string, vit::ReferenceOutput> all = {{"logits", "logits"},
                                                       {"pred_logits", "logits"},
                                                       {"pred_boxes", "boxes"},
                                                       {"aux.{i}.pred_logits", "levels.{i}.logits"},
                                                       {"aux.{i}.pred_boxes", "levels.{i}.boxes"}};
    for (const char* kind : {"scores", "labels", "boxes"})
      for (const char* which : {"post.thr{t}.{i}.", "post.{i}."}) {
        const std::string name = std::string(which) + kind;
        all.emplace(name, vit::ReferenceOutput(name.c_str()));
      }
    return all;
  }();
  return names;
}

void DetectionModel::run_reference(vit::Context& ctx, const vit::ReferenceRun& run) const {
  DetectionInput input{.images = run.inputs.at("input")};
  if (const auto mask = run.inputs.find("pixel_mask"); mask != run.inputs.end())
    input.pixel_mask = as_integers(mask->second);
  input.all_levels = std::any_of(run.wanted.begin(), run.wanted.end(),
                                 [](const std::string& name) { return name.starts_with("levels."); });
  const DetectionOutput output = detect(ctx, input);
  for (size_t i = 0; i < output.levels.size(); ++i) {
    vit::Scope scope(ctx, "levels", static_cast<int64_t>(i));
    ctx.observe("logits", output.levels[i].logits.value());
    ctx.observe("boxes", output.levels[i].boxes.value());
  }
  const DetectionLevel& last = output.levels.back();
  ctx.observe("logits", last.logits.value());
  ctx.observe("boxes", last.boxes.value());
  const PostRun post(*this, last, run);
  for (const std::string& name : run.wanted)
    if (const auto parts = parse_post_name(name)) ctx.observe(name, post.part(*parts));
}

std::vector<std::string> DetectionModel::reference_inputs() const { return {"pixel_mask", "post.target_sizes"}; }

}  // namespace detection
