#include "apps/train_keys.h"

#include <set>
#include <utility>

#include "apps/train_config.h"
#include "detection/set_criterion.h"

namespace apps {

namespace {

using vit::config_detail::FieldHelp;

template <class T>
std::vector<FieldHelp> fields_of() {
  T defaults;
  vit::config_detail::Describer describer;
  defaults.visit_fields(describer);
  return describer.fields();
}

/// Collects groups; a key belongs to the first group that has it, since the whole configuration has them all.
class Collector {
 public:
  /// `prefix`: of keys inside an optional map or a list of maps, "lora.".
  template <class T>
  void add(const std::string& group, const std::string& prefix = {}) {
    for (const ConfigKey& key : config_keys(fields_of<T>(), prefix))
      if (seen_.insert(key.name).second) keys_.push_back({group, key});
  }
  std::vector<TrainKey> take() { return std::move(keys_); }

 private:
  std::set<std::string> seen_;
  std::vector<TrainKey> keys_;
};

}  // namespace

std::vector<TrainKey> train_keys() {
  Collector keys;
  keys.add<datasets::DataConfig>("Data");
  keys.add<datasets::LoaderConfig>("Loading");
  keys.add<datasets::SamplerConfig>("Sampling");
  keys.add<datasets::AugmentConfig>("Augmentation");
  keys.add<datasets::CorruptionAugmentConfig>("Corruptions as augmentation", "corruptions.");
  keys.add<datasets::BoxAugmentConfig>("Augmentation of detectors' pictures", "augment.");
  keys.add<vit::ClassificationLossConfig>("Loss");
  keys.add<detection::CriterionConfig>("Loss of detectors", "criterion.");
  keys.add<datasets::CaptionAugmentConfig>("Augmentation of captioners' pictures", "caption_augment.");
  keys.add<captioning::CaptionLossConfig>("Loss of captioners", "caption.");
  keys.add<captioning::TokenizerConfig>("Vocabulary of captioners", "tokenizer.");
  keys.add<GenerationKeys>("Captions of captioners", "generation.");
  keys.add<vit::OptimizerConfig>("Optimizer");
  keys.add<vit::ScheduleConfig>("Learning rate");
  keys.add<vit::EmaConfig>("Average of the weights");
  keys.add<vit::EarlyStoppingConfig>("Early stopping");
  keys.add<vit::TrainerConfig>("Run");
  keys.add<TrainConfig>("Model");
  keys.add<vit::LoraConfig>("Low-rank adapters", "lora.");
  keys.add<vit::AdversarialConfig>("Adversarial training", "adversarial.");
  keys.add<vit::ParamRule>("Parameters with options of their own", "param_groups[].");
  return keys.take();
}

std::string train_keys_text() {
  const std::vector<TrainKey> keys = train_keys();
  std::string text;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto& [group, key] = keys[i];
    if (i == 0 || keys[i - 1].group != group) text += (i == 0 ? "## " : "\n## ") + group + "\n\n";
    const std::string line = config_key_text(key);
    text += "- `" + key.name + "`" + line.substr(key.name.size()) + "\n";
  }
  return text;
}

}  // namespace apps
