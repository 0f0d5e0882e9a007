#include "apps/train_kind.h"

#include <vector>

#include "captioning/model.h"
#include "detection/model.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/train/run_folder.h"

namespace apps {

namespace {

/// Adds the keys of a section that are not as they are by default.
template <class Section>
void add_changed(std::vector<std::string>& keys, const Section& section, const std::string& prefix = {}) {
  for (const std::string& key : vit::differing_keys(vit::write_config(Section{}), vit::write_config(section)))
    keys.push_back(prefix + key);
}

/// Keys that are given and are for some kinds only, with the kinds they are for.
struct KindKeys {
  std::vector<TrainKind> kinds;
  std::vector<std::string> given;
};

std::vector<KindKeys> kind_keys(const TrainConfig& config) {
  KindKeys classes{{TrainKind::classifier}, {}}, boxes{{TrainKind::detector}, {}}, words{{TrainKind::captioner}, {}},
      crops{{TrainKind::classifier, TrainKind::captioner}, {}};
  add_changed(classes.given, config.augment);
  add_changed(classes.given, config.loss);
  if (config.linear_probe) classes.given.emplace_back("linear_probe");
  if (config.lora) classes.given.emplace_back("lora");
  if (config.adversarial) classes.given.emplace_back("adversarial");
  if (config.crop_pct) crops.given.emplace_back("crop_pct");
  add_changed(boxes.given, config.box_augment, "augment.");
  if (!config.criterion.is_null()) boxes.given.emplace_back("criterion");
  if (config.keep_ratio) boxes.given.emplace_back("keep_ratio");
  add_changed(words.given, config.caption_augment, "caption_augment.");
  add_changed(words.given, config.caption, "caption.");
  add_changed(words.given, config.tokenizer, "tokenizer.");
  add_changed(words.given, config.generation, "generation.");
  return {classes, boxes, words, crops};
}

const char* advice(TrainKind kind) {
  switch (kind) {
    case TrainKind::classifier:
      return "a classifier, and this is for other kinds";
    case TrainKind::detector:
      return "a detector, and this is for other kinds; what changes a detector's pictures stands under `augment`, what "
             "it is trained to under `criterion`, what stays as it is under `freeze`";
    case TrainKind::captioner:
      return "a captioner, and this is for other kinds; what changes a captioner's pictures stands under "
             "`caption_augment`, what it is trained to under `caption`, what stays as it is under `freeze`";
  }
  return "";
}

}  // namespace

TrainKind train_kind(const vit::ImageModel& model) {
  if (dynamic_cast<const detection::DetectionModel*>(&model)) return TrainKind::detector;
  if (dynamic_cast<const captioning::CaptionModel*>(&model)) return TrainKind::captioner;
  return TrainKind::classifier;
}

void require_keys_of(const TrainConfig& config, TrainKind kind, const std::string& model) {
  std::vector<std::string> wrong;
  for (const KindKeys& keys : kind_keys(config)) {
    bool fits = false;
    for (const TrainKind one : keys.kinds) fits = fits || one == kind;
    if (!fits) wrong.insert(wrong.end(), keys.given.begin(), keys.given.end());
  }
  if (wrong.empty()) return;
  vit::fail_usage(vit::joined(wrong, 8), ": the model ", model, " is ", advice(kind),
                  " (vitkit info --list train_keys)");
}

}  // namespace apps
