#include "vit/core/config_node.h"

#include <algorithm>
#include <unordered_map>

#include "vit/core/check.h"
#include "vit/core/config_tree.h"

namespace vit {

namespace {

using Kind = ConfigNode::Kind;
using ImplPtr = std::shared_ptr<const ConfigNode::Impl>;

const std::string kEmpty;

ImplPtr find_entry(const ConfigNode::Impl& map, const std::string& key) {
  for (const auto& [name, value] : map.entries)
    if (name == key) return value;
  return nullptr;
}

bool equal(const ConfigNode::Impl& a, const ConfigNode::Impl& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size() || a.entries.size() != b.entries.size()) return false;
  if (a.kind == Kind::scalar) {
    const bool a_is_string = a.is_text || !reads_as_other_than_string(a.text);
    const bool b_is_string = b.is_text || !reads_as_other_than_string(b.text);
    return a.text == b.text && a_is_string == b_is_string;
  }
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!equal(*a.items[i], *b.items[i])) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const ImplPtr other = find_entry(b, entry.first);
    return other && equal(*entry.second, *other);
  });
}

/// A map that says another type than the one below it does not inherit that one's options.
bool changes_type(const ConfigNode::Impl& lower, const ConfigNode::Impl& upper) {
  const ImplPtr lower_type = find_entry(lower, "type"), upper_type = find_entry(upper, "type");
  return lower_type && upper_type && !equal(*lower_type, *upper_type);
}

/// One override as a tree: a map per part of the key, the parsed value at the end.
ImplPtr parse_override(const std::string& text, const ConfigLimits& limits) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    fail_usage("override '", text, "': expected key=value or key.sub=value");
  const std::string place = "override '" + text + "'";
  std::vector<std::string> parts;
  std::string rest = text.substr(0, equals) + ".";
  for (size_t dot = 0; (dot = rest.find('.')) != std::string::npos; rest.erase(0, dot + 1)) {
    if (dot == 0) fail_usage(place, ": a part of the key is empty");
    parts.push_back(rest.substr(0, dot));
    if (parts.size() > static_cast<size_t>(limits.max_depth)) fail_usage(place, ": the key has too many parts");
  }
  ImplPtr node = parse_config_tree(text.substr(equals + 1), {.name = place, .has_lines = false}, limits);
  const auto file = std::make_shared<const std::string>(place);
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    auto map = std::make_shared<ConfigNode::Impl>(Kind::map, file);
    map->add(*part, node);
    node = map;
  }
  return node;
}

ImplPtr apply_overrides(ImplPtr node, const std::vector<std::string>& overrides, const ConfigLimits& limits) {
  if (overrides.empty()) return node;
  // Overrides are merged among themselves first: "attention.window=5 attention.type=window" must not lose the window to
  // the change of type, whatever the order.
  ImplPtr all = parse_override(overrides[0], limits);
  for (size_t i = 1; i < overrides.size(); ++i) all = merge_config_trees(all, parse_override(overrides[i], limits));
  ImplPtr merged = merge_config_trees(node, all);
  check_config_limits(*merged, limits);
  return merged;
}

}  // namespace

ImplPtr merge_config_trees(const ImplPtr& lower, const ImplPtr& upper) {
  if (!lower || !upper || lower->kind != Kind::map || upper->kind != Kind::map) return upper ? upper : lower;
  if (changes_type(*lower, *upper)) return upper;
  auto merged = std::make_shared<ConfigNode::Impl>(Kind::map, upper->file, upper->line);
  std::unordered_map<std::string, ImplPtr> above(upper->entries.begin(), upper->entries.end());
  for (const auto& [key, value] : lower->entries) {
    const auto found = above.find(key);
    merged->add(key, found == above.end() ? value : merge_config_trees(value, found->second));
    if (found != above.end()) above.erase(found);
  }
  for (const auto& [key, value] : upper->entries)
    if (above.count(key)) merged->add(key, value);
  return merged;
}

ConfigNode ConfigNode::load(const std::filesystem::path& path, const std::vector<std::string>& overrides,
                            const ConfigLimits& limits) {
  return ConfigNode(apply_overrides(load_config_tree(path, limits), overrides, limits));
}

ConfigNode ConfigNode::parse(std::string_view text, const std::string& name, const std::vector<std::string>& overrides,
                             const ConfigLimits& limits) {
  return ConfigNode(apply_overrides(parse_config_tree(text, {.name = name}, limits), overrides, limits));
}

ConfigNode ConfigNode::overridden(const std::vector<std::string>& overrides) const {
  return ConfigNode(apply_overrides(impl_, overrides, {}), path_);
}

ConfigNode ConfigNode::merged_with(const ConfigNode& upper) const {
  return ConfigNode(merge_config_trees(impl_, upper.impl_), path_);
}

ConfigNode ConfigNode::make_map(const std::string& place) {
  return ConfigNode(std::make_shared<Impl>(Kind::map, std::make_shared<const std::string>(place)));
}

ConfigNode ConfigNode::make_list(const std::vector<ConfigNode>& items, const std::string& place) {
  const auto file = std::make_shared<const std::string>(place);
  auto list = std::make_shared<Impl>(Kind::list, file);
  for (const ConfigNode& item : items)
    list->add(item.impl_ ? item.impl_ : std::make_shared<const Impl>(Kind::null, file));
  return ConfigNode(list);
}

ConfigNode ConfigNode::make_scalar(const std::string& text, bool is_text, const std::string& place) {
  auto scalar = std::make_shared<Impl>(Kind::scalar, std::make_shared<const std::string>(place));
  scalar->text = text;
  scalar->is_text = is_text && reads_as_other_than_string(text);
  return ConfigNode(scalar);
}

Kind ConfigNode::kind() const { return impl_ ? impl_->kind : Kind::null; }

std::string ConfigNode::description() const {
  switch (kind()) {
    case Kind::null:
      return "nothing";
    case Kind::scalar:
      return "'" + impl_->text.substr(0, 100) + (impl_->text.size() > 100 ? "...'" : "'");
    case Kind::list:
      return str("a list of ", impl_->items.size());
    case Kind::map:
      return str("a map of ", impl_->entries.size());
  }
  return {};
}

const std::string& ConfigNode::text() const { return is_scalar() ? impl_->text : kEmpty; }
bool ConfigNode::is_text() const { return is_scalar() && impl_->is_text; }

std::vector<ConfigNode> ConfigNode::items() const {
  std::vector<ConfigNode> items;
  if (is_list())
    for (const ImplPtr& item : impl_->items) items.push_back(ConfigNode(item, str(path_, "[", items.size(), "]")));
  return items;
}

std::vector<std::string> ConfigNode::keys() const {
  std::vector<std::string> keys;
  if (is_map())
    for (const auto& [key, value] : impl_->entries) keys.push_back(key);
  return keys;
}

bool ConfigNode::has(const std::string& key) const { return is_map() && find_entry(*impl_, key); }

ConfigNode ConfigNode::get(const std::string& key) const {
  ImplPtr value = is_map() ? find_entry(*impl_, key) : nullptr;
  if (!value && impl_) value = std::make_shared<const Impl>(Kind::null, impl_->file, impl_->line);
  return ConfigNode(value, path_.empty() ? key : path_ + "." + key);
}

ConfigNode ConfigNode::with(const std::string& key, const ConfigNode& value) const {
  if (!is_null() && !is_map()) refuse("expected a map, got " + description());
  auto map = std::make_shared<Impl>(Kind::map, impl_ ? impl_->file : nullptr, impl_ ? impl_->line : 0);
  const ImplPtr added = value.impl_ ? value.impl_ : std::make_shared<const Impl>(Kind::null, map->file, map->line);
  bool replaced = false;
  for (const std::string& name : keys()) {
    map->add(name, name == key ? added : find_entry(*impl_, name));
    replaced |= name == key;
  }
  if (!replaced) map->add(key, added);
  return ConfigNode(map, path_);
}

ConfigNode ConfigNode::without(const std::string& key) const {
  if (!has(key)) return *this;
  auto map = std::make_shared<Impl>(Kind::map, impl_->file, impl_->line);
  for (const auto& [name, value] : impl_->entries)
    if (name != key) map->add(name, value);
  return ConfigNode(map, path_);
}

std::string ConfigNode::place() const {
  if (!impl_ || !impl_->file || impl_->file->empty()) return "configuration";
  return impl_->line > 0 ? str(*impl_->file, ":", impl_->line) : *impl_->file;
}

void ConfigNode::refuse(const std::string& message) const {
  fail_usage(place(), ": ", path_, path_.empty() ? "" : ": ", message);
}

std::string ConfigNode::to_yaml() const { return impl_ ? emit_config_tree(*impl_) : "null\n"; }

bool ConfigNode::operator==(const ConfigNode& other) const {
  if (!impl_ || !other.impl_) return is_null() && other.is_null();
  return equal(*impl_, *other.impl_);
}

TypedConfig split_type(const ConfigNode& node, const std::string& fallback) {
  if (node.is_scalar()) return {node.text(), ConfigNode()};
  if (!node.is_null() && !node.is_map()) node.refuse("expected a name or a map with 'type', got " + node.description());
  const ConfigNode type = node.get("type");
  if (type.is_null() && fallback.empty())
    node.refuse("expected a name or a map with 'type', got " + node.description());
  if (!type.is_null() && !type.is_scalar()) type.refuse("expected a name, got " + type.description());
  return {type.is_null() ? fallback : type.text(), node.without("type")};
}

}  // namespace vit
