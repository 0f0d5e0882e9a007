#include "vit/core/config_text.h"

namespace vit {

std::string inline_yaml(const ConfigNode& node, const std::string& nothing) {
  if (node.is_null()) return nothing;
  if (node.is_scalar()) return node.text().empty() ? "''" : node.text();
  std::string text;
  for (const ConfigNode& item : node.items()) text += (text.empty() ? "" : ", ") + inline_yaml(item, nothing);
  for (const std::string& key : node.keys())
    text += (text.empty() ? "" : ", ") + key + ": " + inline_yaml(node.get(key), nothing);
  return node.is_list() ? "[" + text + "]" : "{" + text + "}";
}

}  // namespace vit
