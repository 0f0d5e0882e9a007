#include "apps/model_facts.h"

#include "apps/common.h"
#include "captioning/captioner.h"
#include "detection/detector.h"
#include "vit/core/parallel.h"
#include "vit/image/preprocess.h"
#include "vit/kernels/kernels.h"
#include "vit/models/labels.h"
#include "vit/models/model.h"

namespace apps {

std::string label_source_text(vit::LabelSource source) {
  switch (source) {
    case vit::LabelSource::checkpoint:
      return "the checkpoint's";
    case vit::LabelSource::imagenet1k:
      return "ImageNet-1k's";
    case vit::LabelSource::numbers:
      return "numbers (the checkpoint names none)";
  }
  return "";
}

void note_random_weights(const CommonOptions& common, const std::string& name, bool has_weights) {
  if (!has_weights)
    note(common, "{} is a configuration without weights: the weights are random (seed {}) and the answers mean nothing",
         name, common.seed);
}

namespace {

/// Of a classifier or a detector.
template <class Model>
void note_facts(const CommonOptions& common, const std::string& name, const Model& model, double load_ms) {
  note_random_weights(common, name, model.trained());
  const vit::ModelInfo& info = model.model().info();
  detail_note(common, "model: {} ({}), input {} x {}, {} classes, names: {}", name, info.name, info.input_size[0],
              info.input_size[1], info.num_classes, label_source_text(model.labels().source()));
  detail_note(common, "pre-processing: {}", model.preprocessor().description());
  detail_note(common, "kernels: {}, {} threads; loaded in {:.0f} ms", vit::kernels::kernels().name, vit::num_threads(),
              load_ms);
}

}  // namespace

void note_model(const CommonOptions& common, const std::string& name, const vit::Classifier& classifier,
                double load_ms) {
  note_facts(common, name, classifier, load_ms);
}

void note_model(const CommonOptions& common, const std::string& name, const detection::Detector& detector,
                double load_ms) {
  note_facts(common, name, detector, load_ms);
}

void note_model(const CommonOptions& common, const std::string& name, const captioning::Captioner& captioner,
                double load_ms) {
  const vit::ModelInfo& info = captioner.model().info();
  detail_note(common, "model: {} ({}), input {} x {}, {} tokens", name, info.name, info.input_size[0],
              info.input_size[1], captioner.tokenizer().size());
  detail_note(common, "pre-processing: {}", captioner.preprocessor().description());
  detail_note(common, "kernels: {}, {} threads; loaded in {:.0f} ms", vit::kernels::kernels().name, vit::num_threads(),
              load_ms);
}

}  // namespace apps
