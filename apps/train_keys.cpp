#include "apps/train_keys.h"

#include <set>
#include <utility>

#include "apps/train_config.h"

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
    std::string section;
    for (const FieldHelp& field : fields_of<T>()) {
      if (field.depth == 0) section.clear();
      const std::string name = prefix + section + field.name;
      if (seen_.insert(name).second) keys_.push_back(key_of(group, name, field));
      if (field.is_section) section += field.name + ".";
    }
  }
  std::vector<TrainKey> take() { return std::move(keys_); }

 private:
  /// From the line "name (type and rule; default value): doc" that describe_config prints.
  static TrainKey key_of(const std::string& group, const std::string& name, FieldHelp field) {
    if (field.is_section) return {group, name, "map", "", field.doc};
    field.depth = 0;
    const std::string line = vit::config_detail::format_help({field}), word = "; default ";
    const size_t begin = field.name.size() + 2, end = line.size() - field.doc.size() - 4;
    const std::string facts = line.substr(begin, end - begin);
    const size_t split = facts.find(word);
    return {group, name, facts.substr(0, split), facts.substr(split + word.size()), field.doc};
  }

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
  keys.add<vit::ClassificationLossConfig>("Loss");
  keys.add<vit::OptimizerConfig>("Optimizer");
  keys.add<vit::ScheduleConfig>("Learning rate");
  keys.add<vit::EmaConfig>("Average of the weights");
  keys.add<vit::EarlyStoppingConfig>("Early stopping");
  keys.add<vit::TrainerConfig>("Run");
  keys.add<TrainConfig>("Model");
  keys.add<vit::LoraConfig>("Low-rank adapters", "lora.");
  keys.add<vit::ParamRule>("Parameters with options of their own", "param_groups[].");
  return keys.take();
}

std::string train_keys_text() {
  const std::vector<TrainKey> keys = train_keys();
  std::string text;
  for (size_t i = 0; i < keys.size(); ++i) {
    const TrainKey& key = keys[i];
    if (i == 0 || keys[i - 1].group != key.group) text += (i == 0 ? "## " : "\n## ") + key.group + "\n\n";
    text += "- `" + key.name + "` (" + key.type + (key.value.empty() ? "" : "; default " + key.value) +
            "): " + key.doc + "\n";
  }
  return text;
}

}  // namespace apps
