// vitkit evaluate: COCO's figures of a detector, or of detections in a file.
#include <fmt/ranges.h>

#include <filesystem>
#include <set>
#include <unordered_set>

#include "apps/detect_pictures.h"
#include "apps/detection_report.h"
#include "apps/evaluate_options.h"
#include "apps/model_facts.h"
#include "apps/progress.h"
#include "datasets/box_dataset.h"
#include "detection/class_pairs.h"
#include "detection/coco_json.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/core/timer.h"
#include "vit/models/labels.h"

namespace apps {

namespace {

/// Oddities of a file that are told one by one.
constexpr size_t kShownOddities = 5;

/// The objects of a COCO file as they stand in it.
detection::CocoTruth truth_of_file(const std::string& path, const CommonOptions& common) {
  detection::CocoTruthFile file = detection::read_coco_truth(path);
  for (size_t i = 0; i < file.oddities.size() && i < kShownOddities; ++i)
    note(common, "warning: {}: {}: {}", path, file.oddities[i].where, file.oddities[i].reason);
  if (file.oddities.size() > kShownOddities)
    note(common, "warning: {}: {} more like these (vitkit doctor lists them)", path,
         file.oddities.size() - kShownOddities);
  return std::move(file.truth);
}

/// COCO's own format is read as pycocotools reads it; data sets repair and leave out boxes.
detection::CocoTruth truth_of(const EvaluationData& data, const datasets::BoxDataset& boxes,
                              const CommonOptions& common) {
  return data.format == "coco" ? truth_of_file(data.name, common) : detection::coco_truth(boxes);
}

/// Takes images, or categories, and their objects out of what is counted.
template <class Of>
void leave_out(detection::CocoTruth& truth, const std::unordered_set<int64_t>& ids, const Of& id_of) {
  std::erase_if(truth.objects, [&](const detection::CocoObject& object) { return ids.count(id_of(object)) > 0; });
}

void leave_out_images(detection::CocoTruth& truth, const std::unordered_set<int64_t>& ids) {
  leave_out(truth, ids, [](const detection::CocoObject& object) { return object.image; });
  std::erase_if(truth.images, [&](int64_t id) { return ids.count(id) > 0; });
}

void leave_out_categories(detection::CocoTruth& truth, const std::unordered_set<int64_t>& ids) {
  leave_out(truth, ids, [](const detection::CocoObject& object) { return object.category; });
  detection::CocoTruth kept;
  for (size_t i = 0; i < truth.categories.size(); ++i) {
    if (ids.count(truth.categories[i]) > 0) continue;
    kept.categories.push_back(truth.categories[i]);
    kept.names.push_back(truth.names.at(i));
  }
  truth.categories = std::move(kept.categories);
  truth.names = std::move(kept.names);
}

int finish(DetectionEvaluation& evaluation, const EvaluateOptions& options, const CommonOptions& common,
           Output& output) {
  evaluation.result = detection::evaluate_coco(evaluation.truth, evaluation.detections);
  print_figures(output, common, options.per_class,
                {.summary = detection_summary(evaluation),
                 .text = detection_summary_text(evaluation),
                 .classes = detection_class_records(evaluation),
                 .table = [&](int64_t limit) { return detection_class_table(evaluation, limit); }});
  output.finish();  // what was found out is there, whatever becomes of the files
  if (!options.save.empty()) {
    save_detection_evaluation(evaluation, options.save);
    note(common, "report, tables, detections and figures are in {}", options.save);
  }
  return evaluation.unreadable.empty() ? 0 : 1;
}

/// Leaves the data's classes that the model does not know out of all figures, and says so.
void leave_out_unknown(DetectionEvaluation& evaluation, const detection::ClassPairs& pairs,
                       const datasets::BoxDataset& data, const CommonOptions& common) {
  evaluation.mapping = name_of(pairs.rule);
  evaluation.unknown_classes = pairs.unknown;
  const std::unordered_set<std::string> names(pairs.unknown.begin(), pairs.unknown.end());
  std::unordered_set<int64_t> ids;
  for (size_t i = 0; i < data.class_names().size(); ++i)
    if (names.count(data.class_names()[i]) > 0) ids.insert(data.category_ids()[i]);
  leave_out_categories(evaluation.truth, ids);
  note_unknown_classes(common, pairs, data);
}

void detect_all(DetectionEvaluation& evaluation, const detection::Detector& detector, const datasets::BoxDataset& data,
                const detection::ClassPairs& pairs, const EvaluateOptions& options, const CommonOptions& common) {
  Progress progress(common, "images", /*prints_results=*/false, data.size());
  const std::vector<int64_t> category_ids = data.category_ids();
  std::unordered_set<int64_t> failed;
  const vit::Timer timer;
  detect_pictures(detector, data, options.batch_size, {.threshold = 0.0, .max_det = options.max_det},
                  [&](const PictureDetections& picture) {
                    const int64_t image = data.image_id(picture.index);
                    if (!picture.error.empty()) {
                      print_error(fmt::format("{}: {}", data.source(picture.index), picture.error));
                      evaluation.unreadable.push_back({data.source(picture.index), picture.error});
                      failed.insert(image);
                    }
                    for (const detection::Detection& found : picture.found) {
                      const int64_t label = pairs.of_model.at(static_cast<size_t>(found.index));
                      if (label >= 0)
                        evaluation.detections.push_back({image, category_ids.at(static_cast<size_t>(label)),
                                                         detection::coco_box(found.box), found.score});
                    }
                    progress.advance();
                  });
  evaluation.seconds = timer.seconds();
  leave_out_images(evaluation.truth, failed);
}

}  // namespace

int evaluate_detector(const EvaluateOptions& options, const CommonOptions& common) {
  const EvaluationData data = open_evaluation_data(options.data, options.model, EvaluatedLabels::boxes, common);
  const auto boxes = datasets::require_boxes(data.data, data.name);
  Output output(common);
  if (!options.save.empty()) prepare_save_folder(options.save);
  const vit::Timer loading;
  const auto detector =
      detection::Detector::load(options.model, {.img_size = options.img_size, .seed = common.seed, .post = {}});
  note_random_weights(common, options.model, detector.trained());
  detail_note(common, "{}: {} in {:.0f} ms", options.model, detector.model().info().name, loading.milliseconds());
  const detection::ClassPairs pairs = detection::pair_classes(*boxes, detector.labels());
  DetectionEvaluation evaluation{.source_key = "model", .source = options.model, .data = data.name};
  evaluation.truth = truth_of(data, *boxes, common);
  leave_out_unknown(evaluation, pairs, *boxes, common);
  note(common, "{}: {} pictures, {} objects in {} classes, mapped to the model's by {}", data.name, boxes->size(),
       evaluation.truth.objects.size(), evaluation.truth.categories.size(), evaluation.mapping);
  detect_all(evaluation, detector, *boxes, pairs, options, common);
  return finish(evaluation, options, common, output);
}

int evaluate_detections(const EvaluateOptions& options, const CommonOptions& common) {
  DetectionEvaluation evaluation{
      .source_key = "detections", .source = options.detections, .data = options.data.data, .mapping = "id"};
  const std::filesystem::path path(options.data.data);
  if (path.extension() == ".json" && options.data.split.empty()) {
    evaluation.truth = truth_of_file(options.data.data, common);  // without a look for the pictures
  } else {
    const EvaluationData data = open_evaluation_data(options.data, "none", EvaluatedLabels::boxes, common);
    evaluation.truth = truth_of(data, *datasets::require_boxes(data.data, data.name), common);
    evaluation.data = data.name;
  }
  evaluation.detections = detection::read_coco_detections(options.detections);
  Output output(common);
  if (!options.save.empty()) prepare_save_folder(options.save);
  const std::unordered_set<int64_t> categories(evaluation.truth.categories.begin(), evaluation.truth.categories.end());
  std::set<int64_t> unknown;
  int64_t strangers = 0;  // detections of these
  for (const detection::CocoDetection& found : evaluation.detections) {
    if (categories.count(found.category) > 0) continue;
    ++strangers;
    unknown.insert(found.category);
  }
  if (strangers > 0)
    note(
        common,
        "warning: {}: {} of its detections are of categories that the data does not have, and left out, as pycocotools "
        "leaves them out: {}",
        options.detections, strangers, fmt::join(unknown, ", "));
  return finish(evaluation, options, common, output);
}

}  // namespace apps
