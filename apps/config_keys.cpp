#include "apps/config_keys.h"

namespace apps {

namespace {

using vit::config_detail::FieldHelp;
using Json = nlohmann::ordered_json;

/// From the line "name (type and rule; default value): doc" that describe_config prints.
ConfigKey key_of(const std::string& name, FieldHelp field) {
  if (field.is_section) return {name, "map", "", field.doc};
  field.depth = 0;
  const std::string line = vit::config_detail::format_help({field}), word = "; default ";
  const size_t begin = field.name.size() + 2, end = line.size() - field.doc.size() - 4;
  const std::string facts = line.substr(begin, end - begin);
  const size_t split = facts.find(word);
  return {name, facts.substr(0, split), facts.substr(split + word.size()), field.doc, field.value};
}

}  // namespace

std::vector<ConfigKey> config_keys(const std::vector<FieldHelp>& fields, const std::string& prefix) {
  std::vector<ConfigKey> keys;
  std::string section;
  for (const FieldHelp& field : fields) {
    if (field.depth == 0) section.clear();
    keys.push_back(key_of(prefix + section + field.name, field));
    if (field.is_section) section += field.name + ".";
  }
  return keys;
}

std::string config_key_text(const ConfigKey& key) {
  return key.name + " (" + key.type + (key.value.empty() ? "" : "; default " + key.value) + "): " + key.doc;
}

Json config_json(const vit::ConfigNode& node) {
  if (node.is_null()) return nullptr;
  if (node.is_list()) {
    Json list = Json::array();
    for (const vit::ConfigNode& item : node.items()) list.push_back(config_json(item));
    return list;
  }
  if (node.is_map()) {
    Json map = Json::object();
    for (const std::string& key : node.keys()) map[key] = config_json(node.get(key));
    return map;
  }
  if (node.is_text()) return node.text();
  const Json value = Json::parse(node.text(), nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? Json(node.text()) : value;
}

}  // namespace apps
