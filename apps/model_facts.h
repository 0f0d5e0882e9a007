// What the verbs say about a model on stderr.
#pragma once

#include <string>

#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace captioning {
class Captioner;
}
namespace detection {
class Detector;
}

namespace apps {

struct CommonOptions;

/// "ImageNet-1k's", "the checkpoint's", ...: where the names of classes come from, for people.
std::string label_source_text(vit::LabelSource source);

/// A warning where the weights are random, and with -v what was loaded: name, parameters, labels, pre-processing,
/// kernels.
void note_model(const CommonOptions& common, const std::string& name, const vit::Classifier& classifier,
                double load_ms);
void note_model(const CommonOptions& common, const std::string& name, const detection::Detector& detector,
                double load_ms);

void note_model(const CommonOptions& common, const std::string& name, const captioning::Captioner& captioner,
                double load_ms);

/// Only the warning. `has_weights` is false for a configuration.
void note_random_weights(const CommonOptions& common, const std::string& name, bool has_weights);

}  // namespace apps
