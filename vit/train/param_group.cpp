#include "vit/train/param_group.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string_view>

#include "vit/core/names.h"

namespace vit {

namespace {

constexpr std::array<std::string_view, 4> kNoDecay = {"pos_embed", "cls_token", "dist_token", "reg_token"};
constexpr std::array<std::string_view, 6> kEmbedding = {"pos_embed", "cls_token",   "dist_token",
                                                        "reg_token", "patch_embed", "stem"};
constexpr std::array<std::string_view, 3> kTrunks = {"blocks", "layers", "stages"};

bool glob_matches(const std::string& name, const std::string& pattern) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

std::vector<std::string_view> split_at_dots(std::string_view name) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    parts.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// The part as a number, or -1.
int64_t number_in(std::string_view part) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  return error == std::errc() && end == part.data() + part.size() ? value : -1;
}

/// What orders parameters by depth: section (0 embedding, 1 trunk, 2 the rest), stage, block.
using Depth = std::array<int64_t, 3>;
constexpr int64_t kLast = std::numeric_limits<int64_t>::max();

/// The final norm is {1, kLast, 0}: it joins whatever stands before it.
Depth depth_of(const std::string& name) {
  const std::vector<std::string_view> parts = split_at_dots(name);
  const auto is_first_part = [&](std::string_view word) { return parts[0] == word; };
  if (std::any_of(kEmbedding.begin(), kEmbedding.end(), is_first_part)) return {0, 0, 0};
  if (parts[0].starts_with("norm")) return {1, kLast, 0};
  if (parts.size() < 2 || std::none_of(kTrunks.begin(), kTrunks.end(), is_first_part)) return {2, 0, 0};
  const int64_t stage = number_in(parts[1]);
  if (stage < 0) return {2, 0, 0};
  // stages.i.blocks.j.*; what else a stage holds (downsample) goes with its first block.
  const int64_t block = parts.size() > 3 && parts[2] == "blocks" ? number_in(parts[3]) : 0;
  return {1, stage, std::max<int64_t>(block, 0)};
}

/// Errors (usage): no name fits.
void require_match(const std::string& pattern, const std::vector<NamedParameter>& parameters, const char* option) {
  std::set<std::string> candidates;
  for (const NamedParameter& parameter : parameters) {
    if (matches_pattern(parameter.name, pattern)) return;
    candidates.insert(parameter.name);
    for (size_t dot = parameter.name.find('.'); dot != std::string::npos; dot = parameter.name.find('.', dot + 1))
      candidates.insert(parameter.name.substr(0, dot));
  }
  fail_usage(option, ": no parameter fits '", pattern, "'",
             did_you_mean(pattern, {candidates.begin(), candidates.end()}),
             "; `vitkit info --model` lists the modules");
}

double decay_of(const NamedParameter& parameter, const OptimizerConfig& config) {
  const bool listed = std::find(kNoDecay.begin(), kNoDecay.end(), parameter.name) != kNoDecay.end();
  const bool is_vector = parameter.value.rank() <= 1 || parameter.name.ends_with(".bias");
  const bool exempt = config.filter_bias_and_bn ? listed || is_vector : listed && config.layer_decay.has_value();
  return exempt ? 0.0 : config.weight_decay;
}

void apply_rules(ParamSettings& settings, const std::string& name, const OptimizerConfig& config) {
  double rule_scale = 1.0;
  for (const ParamRule& rule : config.param_groups) {
    if (!matches_pattern(name, rule.pattern)) continue;
    if (rule.lr_scale) rule_scale = *rule.lr_scale;
    if (rule.weight_decay) settings.weight_decay = *rule.weight_decay;
  }
  settings.lr_scale *= rule_scale;
  for (const std::string& pattern : config.freeze) settings.frozen = settings.frozen || matches_pattern(name, pattern);
}

}  // namespace

bool matches_pattern(const std::string& name, const std::string& pattern) {
  if (glob_matches(name, pattern)) return true;
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
    if (glob_matches(name.substr(0, dot), pattern)) return true;
  return false;
}

std::vector<int64_t> layer_numbers(const std::vector<std::string>& names) {
  std::map<Depth, int64_t> layer_of;
  for (const std::string& name : names) layer_of.emplace(depth_of(name), 0);
  int64_t next = 0;
  for (auto& [depth, layer] : layer_of) {
    const bool joins = depth[1] == kLast && next > 0;
    layer = joins ? next - 1 : next++;
  }
  std::vector<int64_t> layers;
  for (const std::string& name : names) layers.push_back(layer_of.at(depth_of(name)));
  return layers;
}

std::vector<ParamSettings> plan_param_groups(const std::vector<NamedParameter>& parameters,
                                             const OptimizerConfig& config) {
  for (const ParamRule& rule : config.param_groups) require_match(rule.pattern, parameters, "param_groups");
  for (const std::string& pattern : config.freeze) require_match(pattern, parameters, "freeze");
  std::vector<std::string> names;
  for (const NamedParameter& parameter : parameters) names.push_back(parameter.name);
  const std::vector<int64_t> layers = layer_numbers(names);
  const int64_t top = layers.empty() ? 0 : *std::max_element(layers.begin(), layers.end());

  std::vector<ParamSettings> all;
  bool trains = parameters.empty();
  for (size_t i = 0; i < parameters.size(); ++i) {
    ParamSettings settings{.weight_decay = decay_of(parameters[i], config), .layer = layers[i]};
    if (config.layer_decay) {
      const double scale = std::pow(*config.layer_decay, static_cast<double>(top - layers[i]));
      settings.lr_scale = std::max(config.layer_decay_min_scale, scale);
    }
    apply_rules(settings, names[i], config);
    trains = trains || !settings.frozen;
    all.push_back(settings);
  }
  if (!trains) fail_usage("freeze: every parameter is frozen, nothing is left to train");
  return all;
}

std::vector<ParamGroup> summarise_groups(const std::vector<NamedParameter>& parameters,
                                         const std::vector<ParamSettings>& settings) {
  check(parameters.size() == settings.size(), "summarise_groups: ", parameters.size(), " parameters, ", settings.size(),
        " settings");
  std::vector<ParamGroup> groups;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto same = [&](const ParamGroup& group) {
      const ParamSettings &a = group.settings, &b = settings[i];
      return a.lr_scale == b.lr_scale && a.weight_decay == b.weight_decay && a.frozen == b.frozen;
    };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) group = groups.insert(groups.end(), ParamGroup{settings[i], {}, 0});
    group->names.push_back(parameters[i].name);
    group->elements += parameters[i].value.numel();
  }
  return groups;
}

}  // namespace vit
