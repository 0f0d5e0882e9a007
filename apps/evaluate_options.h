// What `vitkit evaluate` was asked, and its kinds of work. docs/evaluation.md, docs/detection_evaluation.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/common.h"
#include "apps/evaluation_data.h"
#include "apps/generation_options.h"

namespace apps {

struct EvaluateOptions {
  std::string model{}, save{};
  EvaluationDataOptions data{};
  bool per_class = false;
  int64_t batch_size = 16;
  std::optional<int64_t> img_size{};
  std::string precision = "f32";
  // detectors
  std::string detections{};  ///< COCO's results, in place of a model
  int64_t max_det = 100;
  // tracking
  bool track = false;
  std::string tracks{};  ///< MOT Challenge text, in place of a model
  std::string tracker = "bytetrack";
  // captioners
  std::string captions{};  ///< COCO's results, in place of a model
  GenerationChoice generation{};
};

// Each does its work, prints and saves it; returns the exit status. Errors: as their parts; usage where --data is not
// what the kind of work needs.

/// A detector on pictures with boxes: COCO's figures.
int evaluate_detector(const EvaluateOptions& options, const CommonOptions& common);
/// The same of detections that somebody else found.
int evaluate_detections(const EvaluateOptions& options, const CommonOptions& common);
/// A detector with a tracker on clips: MOTA, IDF1, HOTA.
int evaluate_tracking(const EvaluateOptions& options, const CommonOptions& common);
/// The same of tracks that somebody else found.
int evaluate_tracks(const EvaluateOptions& options, const CommonOptions& common);

/// A captioner on pictures with captions: BLEU, ROUGE-L, CIDEr.
int evaluate_captioner(const EvaluateOptions& options, const CommonOptions& common);
/// The same of captions that somebody else wrote.
int evaluate_captions(const EvaluateOptions& options, const CommonOptions& common);

}  // namespace apps
