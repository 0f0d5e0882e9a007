// Internal to core/config_node: the nodes themselves, and their reading from and writing to YAML text. Not a public
// header.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vit/core/config_node.h"

namespace vit {

struct ConfigNode::Impl {
  using Ptr = std::shared_ptr<const Impl>;

  Impl(Kind kind_of_node, std::shared_ptr<const std::string> in_file, int at_line = 0)
      : kind(kind_of_node), file(std::move(in_file)), line(at_line) {}

  /// Appends to a map or a list and keeps `size` and `depth` right.
  void add(const std::string& key, Ptr value) {
    count(*value);
    entries.emplace_back(key, std::move(value));
  }
  void add(Ptr item) {
    count(*item);
    items.push_back(std::move(item));
  }

  Kind kind;
  bool is_text = false;  // a scalar in quotes
  std::string text;
  std::vector<std::pair<std::string, Ptr>> entries;
  std::vector<Ptr> items;
  std::shared_ptr<const std::string> file;  // or what stands for it; null: nothing to say
  int line = 0;                             // from 1; 0: not known
  int64_t size = 1;                         // nodes of the tree, shared ones counted each time they appear
  int depth = 1;                            // levels of the tree

 private:
  void count(const Impl& child) {
    size += child.size;
    depth = depth > child.depth ? depth : child.depth + 1;
  }
};

/// How a text is called in messages, and what its relative includes start from.
struct ConfigSource {
  std::string name;
  std::filesystem::path folder = {};
  bool has_lines = true;  ///< False for a one-line text: "text:1" would say nothing.
};

/// YAML text to tree. Never null. Errors: as ConfigNode::load.
std::shared_ptr<const ConfigNode::Impl> parse_config_tree(std::string_view text, const ConfigSource& source,
                                                          const ConfigLimits& limits);
std::shared_ptr<const ConfigNode::Impl> load_config_tree(const std::filesystem::path& path, const ConfigLimits& limits);

/// `lower` overridden by `upper`; either may be null.
std::shared_ptr<const ConfigNode::Impl> merge_config_trees(const std::shared_ptr<const ConfigNode::Impl>& lower,
                                                           const std::shared_ptr<const ConfigNode::Impl>& upper);

/// Errors (kUsage): the tree is deeper or larger than the limits.
void check_config_limits(const ConfigNode::Impl& tree, const ConfigLimits& limits);

/// A plain scalar with this text would be a number, a bool or null, not a string.
bool reads_as_other_than_string(const std::string& text);

/// Tree to YAML text that parses back to an equal tree.
std::string emit_config_tree(const ConfigNode::Impl& tree);

}  // namespace vit
