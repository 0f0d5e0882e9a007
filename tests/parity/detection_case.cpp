#include "tests/parity/detection_case.h"

#include <nlohmann/json.hpp>
#include <string>

#include "detection/set_criterion.h"
#include "tests/parity/named_model.h"
#include "vit/autograd/tape.h"
#include "vit/io/checkpoint.h"
#include "vit/io/json.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"
#include "vit/models/load.h"

namespace vit {

namespace {

std::vector<BoxTargets> read_targets(const SafetensorsFile& golden, int64_t pictures) {
  std::vector<BoxTargets> targets;
  for (int64_t b = 0; b < pictures; ++b)
    targets.push_back({golden.view(str("target.", b, ".boxes")), golden.view(str("target.", b, ".labels"))});
  return targets;
}

/// Entry `i` of the first axis, as a variable of its own.
Var entry(const Tensor& all, int64_t i) {
  const Shape& shape = all.shape();
  return Var::leaf(all.slice(i, i + 1).view({shape[1], shape[2], shape[3]}).clone());
}

Tensor joined(const std::vector<Tensor>& parts, const Shape& shape) {
  Tensor all = Tensor::zeros(shape);
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i].defined()) {
      const std::span<float> values = parts[i].span<float>();
      std::copy(values.begin(), values.end(), all.f32() + static_cast<int64_t>(i) * parts[i].numel());
    }
  return all;
}

detection::CriterionConfig read_criterion(const nlohmann::json& file) {
  const JsonObject json(file, "config.json");
  const JsonObject weights = json.get_object("weight");
  detection::CriterionConfig config;
  config.eos_coef = json.require_double("eos_coef");
  config.cost_class = json.require_double("cost_class");
  config.cost_bbox = json.require_double("cost_bbox");
  config.cost_giou = json.require_double("cost_giou");
  config.class_loss_coef = weights.require_double("loss_ce");
  config.bbox_loss_coef = weights.require_double("loss_bbox");
  config.giou_loss_coef = weights.require_double("loss_giou");
  return config;
}

/// What a Hugging Face configuration says about the loss.
detection::CriterionConfig read_criterion(const nlohmann::json& file, const detection::DetectionModel& model) {
  const JsonObject json(file, "config.json");
  detection::CriterionConfig config = detection::default_criterion(model.class_loss());
  config.cost_class = json.get_double("class_cost", config.cost_class);
  config.cost_bbox = json.get_double("bbox_cost", config.cost_bbox);
  config.cost_giou = json.get_double("giou_cost", config.cost_giou);
  config.bbox_loss_coef = json.get_double("bbox_loss_coefficient", config.bbox_loss_coef);
  config.giou_loss_coef = json.get_double("giou_loss_coefficient", config.giou_loss_coef);
  config.eos_coef = json.get_double("eos_coefficient", config.eos_coef);
  return config;
}

void compare_matches(GoldenComparison& comparison, const std::vector<std::vector<detection::Matches>>& levels) {
  for (size_t l = 0; l < levels.size(); ++l)
    for (size_t b = 0; b < levels[l].size(); ++b) {
      std::vector<int64_t> queries, targets;
      for (const auto& [query, target] : levels[l][b]) {
        queries.push_back(query);
        targets.push_back(target);
      }
      comparison.compare_exactly(str("match.", l, ".", b, ".src"), queries);
      comparison.compare_exactly(str("match.", l, ".", b, ".tgt"), targets);
    }
}

}  // namespace

std::vector<GradientResult> run_detection_loss_golden(const std::filesystem::path& dir) {
  GoldenComparison comparison(dir);
  const SafetensorsFile& golden = comparison.golden();
  const Tensor logits = golden.view("pred_logits"), boxes = golden.view("pred_boxes");
  detection::DetectionOutput output;
  for (int64_t i = 0; i < logits.size(0); ++i) output.levels.push_back({entry(logits, i), entry(boxes, i)});

  const nlohmann::json file = load_json(dir / "config.json");
  const detection::SetCriterion criterion(read_criterion(file), detection::Scoring::softmax,
                                          JsonObject(file, "config.json").require_int("num_classes"));
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const detection::CriterionResult result = criterion(ctx, output, read_targets(golden, logits.size(1)));
  tape.backward(result.total);

  compare_matches(comparison, result.matches);
  comparison.compare("total", result.total.value());
  for (const auto& [name, value] : result.parts)
    if (golden.find("loss." + name)) comparison.compare("loss." + name, value);
  std::vector<Tensor> d_logits, d_boxes;
  for (const detection::DetectionLevel& level : output.levels) {
    d_logits.push_back(level.logits.grad());
    d_boxes.push_back(level.boxes.grad());
  }
  comparison.compare("grad.logits", joined(d_logits, logits.shape()));
  comparison.compare("grad.boxes", joined(d_boxes, boxes.shape()));
  return comparison.take_results();
}

namespace {

/// A mask as the models take it; files have bytes. Undefined where there is none.
Tensor read_mask(const SafetensorsFile& golden) {
  if (!golden.find("pixel_mask")) return {};
  const Tensor stored = golden.view("pixel_mask");
  if (stored.dtype() != DType::u8) return stored;
  Tensor mask = Tensor::empty(stored.shape(), DType::i64);
  const std::span<uint8_t> bytes = stored.span<uint8_t>();
  std::copy(bytes.begin(), bytes.end(), mask.data<int64_t>());
  return mask;
}

}  // namespace

std::vector<GradientResult> run_detector_gradients_golden(const std::filesystem::path& dir) {
  GoldenComparison comparison(dir);
  const SafetensorsFile& golden = comparison.golden();
  const std::string weights = JsonObject(comparison.description(), "case.json").require_string("weights");
  const Checkpoint checkpoint = Checkpoint::open((dir / weights).lexically_normal().string());
  const bool all_levels = golden.find("loss_dict.loss_ce_0") != nullptr;
  nlohmann::json config = checkpoint.config();
  if (all_levels) config["auxiliary_loss"] = true;  // the reference ran with it
  NamedModel model(checkpoint, config);
  auto& detector = dynamic_cast<detection::DetectionModel&>(model.model());
  const detection::SetCriterion criterion(read_criterion(checkpoint.config(), detector), detector.scoring(),
                                          detector.info().num_classes);
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Tensor images = golden.view("input");
  const detection::DetectionOutput output = detector.detect(
      ctx,
      {.images = images, .pixel_mask = read_mask(golden), .all_levels = golden.find("loss_dict.loss_ce_0") != nullptr});
  const detection::CriterionResult result = criterion(ctx, output, read_targets(golden, images.size(0)));
  tape.backward(result.total);

  comparison.compare("loss", result.total.value());
  for (const auto& [name, value] : result.parts)
    if (golden.find("loss_dict." + name)) comparison.compare("loss_dict." + name, value);
  model.compare_gradients(comparison);
  return comparison.take_results();
}

}  // namespace vit
