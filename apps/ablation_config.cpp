#include "apps/ablation_config.h"

#include <set>

#include "apps/train_config.h"

namespace apps {

namespace {

/// `node` with the value at a dotted key, whatever was there before.
vit::ConfigNode with_value(const vit::ConfigNode& node, const std::string& key, const vit::ConfigNode& value) {
  const size_t dot = key.find('.');
  if (dot == std::string::npos) return node.with(key, value);
  const std::string first = key.substr(0, dot);
  return node.with(first, with_value(node.get(first), key.substr(dot + 1), value));
}

/// The name that a value itself has: "window" of `window` and of `{type: window, window: 7}`.
std::string name_of(const vit::ConfigNode& value) {
  return value.is_scalar() ? value.text() : value.get("type").text();
}

void check_name(const vit::ConfigNode& node, const std::string& name) {
  constexpr const char* kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  if (name.empty() || name.size() > 100 || name.find_first_not_of(kAllowed) != std::string::npos ||
      name.front() == '.' || name.front() == '-')
    node.refuse("'" + name + "' cannot be the name of a variant and its folder; use letters, digits, _ . and -");
}

/// `field`: the key's last part, under which a named variant has its value.
AblationVariant read_variant(const vit::ConfigNode& node, const std::string& field) {
  if (!node.is_map() || (node.has("type") && !node.has("name"))) {
    const std::string name = name_of(node);
    if (name.empty())
      node.refuse("expected a name, a map with `type`, or {name: NAME, " + field + ": value}, got " +
                  node.description());
    check_name(node, name);
    return {name, node, {}};
  }
  for (const std::string& key : node.keys())
    if (key != "name" && key != field)
      node.get(key).refuse("a variant has `name` and `" + field + "`; options belong into `" + field + "`");
  if (!node.has(field)) node.refuse("a variant with a name needs its value under `" + field + "`");
  const std::string name = node.has("name") ? node.get("name").text() : name_of(node.get(field));
  check_name(node.get("name"), name);
  return {name, node.get(field), {}};
}

}  // namespace

Ablation load_ablation(const std::string& file, const std::vector<std::string>& overrides) {
  const vit::ConfigNode node = vit::ConfigNode::load(file, overrides);
  const vit::ConfigNode section = node.get("ablation");
  if (section.is_null())
    node.refuse("there is no `ablation` with `variants` to compare (configs/train/ablation.yaml is an example)");
  const auto config = vit::read_config<AblationConfig>(section);
  if (config.variants.empty()) section.refuse("`variants` is empty: there is nothing to compare");
  const vit::ConfigNode base = node.without("ablation");
  if (config.key.empty() || config.key.front() == '.' || config.key.back() == '.' ||
      config.key.find("..") != std::string::npos)
    section.get("key").refuse("expected a key of the training configuration such as model.attention, got '" +
                              config.key + "'");

  if (config.key == "output") section.get("key").refuse("`output` is where results go, not what can vary");

  Ablation ablation{.output = base.has("output") ? base.get("output").text() : "runs/ablation",
                    .key = config.key,
                    .rounds = config.rounds,
                    .variants = {}};
  const std::string field = config.key.substr(config.key.rfind('.') + 1);
  std::set<std::string> names;
  for (const vit::ConfigNode& each : config.variants) {
    AblationVariant variant = read_variant(each, field);
    if (!names.insert(variant.name).second)
      each.refuse("two variants have the name '" + variant.name + "'; give one of them another `name`");
    const std::string folder = (ablation.output / variant.name).string();
    variant.config =
        with_value(base, config.key, variant.value).with("output", vit::ConfigNode::make_scalar(folder, true));
    ablation.variants.push_back(std::move(variant));
  }
  if (vit::read_config<TrainConfig>(ablation.variants.front().config).trainer.max_minutes > 0.0)
    base.get("max_minutes")
        .refuse("an ablation gives each variant the same number of updates, not of minutes; use epochs");
  return ablation;
}

}  // namespace apps
