#include "apps/attention_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "apps/attention_scores.h"
#include "apps/config_keys.h"
#include "apps/help.h"
#include "apps/output.h"
#include "vit/core/names.h"
#include "vit/image/encode.h"
#include "vit/nn/attention.h"

namespace apps {

namespace {

std::string family_name(vit::AttentionFamily family) {
  for (const auto& [value, name] : vit::enum_names(family))
    if (value == family) return name;
  vit::fail("attention: a family without a name");
}

/// Names by family, and within one by the alphabet.
std::vector<std::string> names_by_family() {
  std::vector<std::string> names = vit::attention_registry().names();
  std::stable_sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return vit::attention_registry().find(a).traits.family < vit::attention_registry().find(b).traits.family;
  });
  return names;
}

/// What it needs, as a program reads it and as people do.
std::vector<std::pair<std::string, std::string>> needs_of(const vit::AttentionTraits& traits) {
  std::vector<std::pair<std::string, std::string>> needs;
  if (traits.needs_grid) needs.emplace_back("grid", "patch tokens that form a grid");
  if (!traits.takes_prefix) needs.emplace_back("no_prefix", "no class or register tokens");
  if (traits.needs_prefix) needs.emplace_back("prefix", "class or register tokens");
  if (traits.needs_memory) needs.emplace_back("memory", "a memory to look at");
  return needs;
}

std::string needs_text(const vit::AttentionTraits& traits) {
  std::vector<std::string> words;
  for (const auto& [key, text] : needs_of(traits)) words.push_back(text);
  return words.empty() ? "nothing" : vit::joined(words);
}

Record record_of(const std::string& name, const vit::AttentionEntry& entry) {
  Record options = Record::array(), needs = Record::array();
  for (const ConfigKey& key : config_keys(entry.options()))
    options.push_back({{"name", key.name}, {"type", key.type}, {"default", config_json(key.node)}, {"doc", key.doc}});
  for (const auto& [key, text] : needs_of(entry.traits)) needs.push_back(key);
  return {{"name", name},
          {"family", family_name(entry.traits.family)},
          {"summary", entry.traits.summary},
          {"formula", entry.traits.formula},
          {"source", entry.traits.source},
          {"complexity", entry.traits.complexity},
          {"needs", needs},
          {"options", options}};
}

std::string option_names(const vit::AttentionEntry& entry) {
  std::vector<std::string> names;
  for (const ConfigKey& key : config_keys(entry.options())) names.push_back(key.name);
  return names.empty() ? "none" : vit::joined(names);
}

/// "source:      Vaswani et al. 2017": a fact, wrapped.
std::string fact(const std::string& name, const std::string& text) {
  constexpr int kIndent = 12;
  return fmt::format("{:<{}}{}\n", name + ":", kIndent, wrapped(text, kIndent, terminal_width()));
}

std::string text_of(const std::string& name, const vit::AttentionEntry& entry) {
  const vit::AttentionTraits& traits = entry.traits;
  std::string text = fmt::format("{} ({})\n", name, family_name(traits.family));
  text += fact("what", traits.summary) + fact("formula", traits.formula) + fact("cost", traits.complexity) +
          fact("source", traits.source) + fact("needs", needs_text(traits));
  const std::vector<ConfigKey> keys = config_keys(entry.options());
  if (keys.empty()) return text + fact("options", "none");
  text += "options:\n";
  for (const ConfigKey& key : keys) text += "  " + wrapped(config_key_text(key), 4, terminal_width()) + "\n";
  return text;
}

}  // namespace

int print_attentions(Output& output) {
  const std::vector<std::string> names = names_by_family();
  size_t name_width = 4, cost_width = 4;
  for (const std::string& name : names) {
    name_width = std::max(name_width, name.size());
    cost_width = std::max(cost_width, vit::attention_registry().find(name).traits.complexity.size());
  }
  const auto row = [&](const std::string& name, const std::string& family, const std::string& cost,
                       const std::string& options) {
    const std::string head = fmt::format("{:<{}}  {:<7}  {:<{}}  ", name, name_width, family, cost, cost_width);
    return head + wrapped(options, static_cast<int>(head.size()), terminal_width()) + "\n";
  };
  if (output.format() == Format::text) output.write({}, row("NAME", "FAMILY", "COST", "OPTIONS"));
  for (const std::string& name : names) {
    const vit::AttentionEntry& entry = vit::attention_registry().find(name);
    Record record = {{"kind", "attentions"}};
    record.update(record_of(name, entry));
    output.write(record, row(name, family_name(entry.traits.family), entry.traits.complexity, option_names(entry)));
  }
  output.finish();
  return 0;
}

int print_attention(const AttentionQuestion& question, Output& output) {
  const vit::ConfigNode node = vit::ConfigNode::parse(question.mechanism, "--attention");
  const std::string name = vit::split_type(node).type;
  if (!vit::attention_registry().contains(name)) node.refuse(vit::attention_registry().unknown(name));
  const vit::AttentionEntry& entry = vit::attention_registry().find(name);
  if (!question.scores.empty()) vit::check_image_extension(question.scores);
  if (!question.scores.empty())
    vit::save_image(question.scores, draw_attention(node, question.seed));
  else if (node.is_map())
    build_for_picture(node);  // options that do not fit are refused either way
  output.write(record_of(name, entry), text_of(name, entry));
  output.finish();
  return 0;
}

}  // namespace apps
