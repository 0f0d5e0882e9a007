// The tree that a YAML file is parsed into: immutable nodes that know their file, line and key path, so that every
// later complaint can say where. Composition (`__include__`), command-line overrides and limits are settled here; typed
// structs are read from it by core/config.h. Non-goals: YAML tags, merge keys (`<<`), several documents in a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vit {

struct ConfigLimits {
  int64_t max_bytes = int64_t{1} << 20;  ///< Longest file.
  int max_depth = 64;                    ///< Deepest nesting of maps and lists.
  int64_t max_nodes = 100'000;           ///< Nodes with aliases expanded and files included.
  int max_includes = 64;                 ///< Files included, directly or not.
};

/// A null, a scalar, a list or a map. Cheap to copy; immutable, hence thread-safe.
class ConfigNode {
 public:
  enum class Kind : uint8_t { null, scalar, list, map };

  /// A null without a place.
  ConfigNode() = default;

  /// Reads a file, resolves its includes and applies overrides.
  ///
  /// `__include__: other.yaml` (or a list of files) in any map takes that file's keys, paths relative to the including
  /// file; the map's own keys override them. `overrides` are "key.sub=value" with the value in YAML.
  /// Overriding merges maps key by key and replaces everything else; a map with another `type` than the one below it
  /// replaces it whole, because the options of one type mean nothing to another.
  ///
  /// Errors (kUsage), with file and line: not YAML, a key twice, a tag, a limit exceeded, an include that is missing or
  /// circular, an override without '='.
  static ConfigNode load(const std::filesystem::path& path, const std::vector<std::string>& overrides = {},
                         const ConfigLimits& limits = {});
  /// The same for a text; `name` stands for the file in messages. Includes are relative to the working folder.
  static ConfigNode parse(std::string_view text, const std::string& name,
                          const std::vector<std::string>& overrides = {}, const ConfigLimits& limits = {});

  /// Nodes that no file holds (defaults, converted checkpoints); `place` stands for the file in messages.
  static ConfigNode make_map(const std::string& place = {});
  static ConfigNode make_list(const std::vector<ConfigNode>& items, const std::string& place = {});
  /// `is_text` marks a string that must not be taken for a number, a bool or null.
  static ConfigNode make_scalar(const std::string& text, bool is_text, const std::string& place = {});

  Kind kind() const;
  bool is_null() const { return kind() == Kind::null; }
  bool is_scalar() const { return kind() == Kind::scalar; }
  bool is_list() const { return kind() == Kind::list; }
  bool is_map() const { return kind() == Kind::map; }
  /// "nothing", "'abc'", "a list of 3", "a map of 2": for messages.
  std::string description() const;

  /// A scalar's text; "" for other kinds.
  const std::string& text() const;
  /// A scalar written in quotes: always a string.
  bool is_text() const;
  /// A list's items; empty for other kinds.
  std::vector<ConfigNode> items() const;
  /// A map's keys in the order of the file; empty for other kinds.
  std::vector<std::string> keys() const;
  bool has(const std::string& key) const;
  /// The value under a key; a null node (that knows its place) when there is none or this is no map.
  ConfigNode get(const std::string& key) const;

  /// A copy of this map (or null) with the key set, or without it.
  ConfigNode with(const std::string& key, const ConfigNode& value) const;
  ConfigNode without(const std::string& key) const;
  /// This node overridden by `upper`, by the rule of load().
  ConfigNode merged_with(const ConfigNode& upper) const;
  /// This node with "key.sub=value" applied. Errors: as load().
  ConfigNode overridden(const std::vector<std::string>& overrides) const;

  /// "models.yaml:12", or the place's name.
  std::string place() const;
  /// The keys that lead here: "model.attention", "layers[2].dim"; "" at the top.
  const std::string& path() const { return path_; }
  /// Throws Error{kUsage} "PLACE: PATH: message".
  [[noreturn]] void refuse(const std::string& message) const;

  /// YAML that parse() reads back to an equal tree.
  std::string to_yaml() const;
  /// The same content, wherever it comes from; the order of keys does not count.
  bool operator==(const ConfigNode& other) const;

  /// The implementation's node; defined in config_node.cpp.
  struct Impl;

 private:
  friend struct ConfigNodeAccess;
  explicit ConfigNode(std::shared_ptr<const Impl> impl, std::string path = {})
      : impl_(std::move(impl)), path_(std::move(path)) {}

  std::shared_ptr<const Impl> impl_;
  std::string path_;
};

/// A choice with options of its own, `{type: window, window: 7}` or just `window`, split for a registry.
struct TypedConfig {
  std::string type;    ///< `fallback` where nothing is said.
  ConfigNode options;  ///< The map without `type`.
};
/// Errors (kUsage): neither a name nor a map with `type`, and no fallback given.
TypedConfig split_type(const ConfigNode& node, const std::string& fallback = {});

}  // namespace vit
