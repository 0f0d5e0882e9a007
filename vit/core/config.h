// Strict, typed configuration. A struct lists its fields once:
//
//   struct VitConfig {
//     int64_t dim = 192;
//     std::vector<int64_t> depths = {2, 2};
//     std::optional<double> drop;
//     AttentionConfig attention;
//     template <class V> void visit_fields(V& v) {
//       v("dim", dim, "Width of the tokens.", at_least(1));
//       v("depths", depths, "Blocks of each stage.", between(1, 100));
//       v("drop", drop, "Dropout rate; none: as the model has it.", between(0, 1));
//       v("attention", attention, "How tokens mix.");
//     }
//   };
//
// and is read (read_config), written with all defaults filled in (write_config) and explained (describe_config) from
// that list. A file's unknown key, wrong type or value out of range is an error with file, line and the nearest known
// name.
//
// Field types: bool, integers, float, double, std::string, enums (see enum_names below), std::optional<T>,
// std::vector<T>, std::array<T, N>, std::map<std::string, T>, nested structs, and ConfigNode for what somebody else
// will read. A struct may have `void validate() const` that throws vit::Error for combinations; its message is given
// the place.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "vit/core/check.h"
#include "vit/core/config_node.h"

namespace vit {

/// What values a field may have beside its type. On lists, maps and optionals it holds for each element.
struct FieldRule {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;             ///< min itself is not allowed.
  std::vector<std::string> one_of{};  ///< Strings that are allowed; empty: any.
};
inline FieldRule at_least(double min) { return {.min = min}; }
inline FieldRule above(double min) { return {.min = min, .above_min = true}; }
inline FieldRule between(double min, double max) { return {.min = min, .max = max}; }
inline FieldRule one_of(std::initializer_list<std::string> names) { return {.one_of = names}; }

/// For an enum E, in E's namespace: `const EnumNames<E>& enum_names(E)` with every value's name in files.
template <class E>
using EnumNames = std::vector<std::pair<E, std::string>>;

namespace config_detail {

// One overload per kind of scalar; the templates below lead every field type to one of these.
bool read_bool(const ConfigNode& node);
int64_t read_int(const ConfigNode& node, int64_t min, int64_t max, const FieldRule& rule);
double read_double(const ConfigNode& node, const FieldRule& rule);
std::string read_string(const ConfigNode& node, const FieldRule& rule);
size_t read_choice(const ConfigNode& node, const std::vector<std::string>& names);
std::vector<ConfigNode> read_list(const ConfigNode& node);
void require_map(const ConfigNode& node);
void refuse_unknown_keys(const ConfigNode& node, const std::vector<std::string>& known);
[[noreturn]] void rethrow_with_place(const ConfigNode& node, const Error& error);

ConfigNode write_bool(bool value);
ConfigNode write_int(int64_t value);
ConfigNode write_double(double value);
ConfigNode write_float(float value);
ConfigNode write_string(const std::string& value);

struct FieldHelp {
  std::string name, type, doc;
  ConfigNode value;  // the default
  FieldRule rule;
  int depth = 0;            // of nested structs
  bool is_section = false;  // a nested struct: its fields follow
};
std::string format_help(const std::vector<FieldHelp>& fields);

struct AnyVisitor {
  template <class... Args>
  void operator()(Args&&...) {}
};
template <class T>
concept HasFields = requires(T& value, AnyVisitor& visitor) {
  value.visit_fields(visitor);
};
template <class T>
concept HasValidate = requires(const T& value) {
  value.validate();
};
template <class T>
concept NamedEnum = std::is_enum_v<T> && requires(T value) {
  enum_names(value);
};
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool>;

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsArray : std::false_type {};
template <class T, size_t N>
struct IsArray<std::array<T, N>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};
template <class T>
inline constexpr bool kUnsupported = false;

template <NamedEnum E>
std::vector<std::string> names_of(E value) {
  std::vector<std::string> names;
  for (const auto& entry : enum_names(value)) names.push_back(entry.second);
  return names;
}

template <class T>
void read_value(const ConfigNode& node, T& value, const FieldRule& rule);
template <class T>
ConfigNode write_value(const T& value);
template <class T>
std::string type_name();

/// Visits a struct's fields to fill them from a map.
class Reader {
 public:
  explicit Reader(const ConfigNode& node) : node_(node) { require_map(node); }
  template <class T>
  void operator()(const char* name, T& field, const char*, const FieldRule& rule = {}) {
    known_.emplace_back(name);
    if (node_.has(name)) read_value(node_.get(name), field, rule);
  }
  void finish() const { refuse_unknown_keys(node_, known_); }

 private:
  const ConfigNode& node_;
  std::vector<std::string> known_;
};

/// Visits a struct's fields to collect them in a map.
class Writer {
 public:
  template <class T>
  void operator()(const char* name, T& field, const char*, const FieldRule& = {}) {
    node_ = node_.with(name, write_value(field));
  }
  const ConfigNode& node() const { return node_; }

 private:
  ConfigNode node_ = ConfigNode::make_map();
};

/// Visits a struct's fields to explain them.
class Describer {
 public:
  explicit Describer(int depth = 0) : depth_(depth) {}
  template <class T>
  void operator()(const char* name, T& field, const char* doc, const FieldRule& rule = {}) {
    fields_.push_back({name, type_name<T>(), doc, {}, rule, depth_, HasFields<T>});
    if constexpr (HasFields<T>) {
      Describer inner(depth_ + 1);
      field.visit_fields(inner);
      fields_.insert(fields_.end(), inner.fields_.begin(), inner.fields_.end());
    } else {
      fields_.back().value = write_value(field);
    }
  }
  const std::vector<FieldHelp>& fields() const { return fields_; }

 private:
  int depth_;
  std::vector<FieldHelp> fields_;
};

template <class T>
void read_struct(const ConfigNode& node, T& value) {
  Reader reader(node);
  value.visit_fields(reader);
  reader.finish();
  if constexpr (HasValidate<T>) {
    try {
      value.validate();
    } catch (const Error& error) {
      rethrow_with_place(node, error);
    }
  }
}

template <class T>
void read_items(const ConfigNode& node, T& value, const FieldRule& rule) {
  const std::vector<ConfigNode> items = read_list(node);
  if constexpr (IsArray<T>::value) {
    if (items.size() != value.size())
      node.refuse(str("expected a list of ", value.size(), ", got ", node.description()));
  } else {
    value = T(items.size());
  }
  for (size_t i = 0; i < items.size(); ++i) {
    typename T::value_type item{};
    read_value(items[i], item, rule);
    value[i] = std::move(item);
  }
}

template <class T>
void read_entries(const ConfigNode& node, T& value, const FieldRule& rule) {
  require_map(node);
  value.clear();
  for (const std::string& key : node.keys()) read_value(node.get(key), value[key], rule);
}

template <class T>
void read_value(const ConfigNode& node, T& value, const FieldRule& rule) {
  if constexpr (std::same_as<T, ConfigNode>) {
    value = node;
  } else if constexpr (HasFields<T>) {
    read_struct(node, value);
  } else if constexpr (std::same_as<T, bool>) {
    value = read_bool(node);
  } else if constexpr (Integer<T>) {
    constexpr bool kWide = std::unsigned_integral<T> && sizeof(T) == 8;  // files hold int64 at most
    constexpr auto kMax = kWide ? std::numeric_limits<int64_t>::max() : int64_t(std::numeric_limits<T>::max());
    value = static_cast<T>(read_int(node, int64_t(std::numeric_limits<T>::min()), kMax, rule));
  } else if constexpr (std::floating_point<T>) {
    value = static_cast<T>(read_double(node, rule));
  } else if constexpr (std::same_as<T, std::string>) {
    value = read_string(node, rule);
  } else if constexpr (NamedEnum<T>) {
    value = enum_names(value)[read_choice(node, names_of(value))].first;
  } else if constexpr (IsOptional<T>::value) {
    value.reset();
    if (!node.is_null()) read_value(node, value.emplace(), rule);
  } else if constexpr (IsVector<T>::value || IsArray<T>::value) {
    read_items(node, value, rule);
  } else if constexpr (IsMap<T>::value) {
    read_entries(node, value, rule);
  } else {
    static_assert(kUnsupported<T>, "this type cannot be a configuration field");
  }
}

template <class T>
ConfigNode write_value(const T& value) {
  if constexpr (std::same_as<T, ConfigNode>) {
    return value;
  } else if constexpr (HasFields<T>) {
    Writer writer;
    const_cast<T&>(value).visit_fields(writer);  // one visit_fields serves reading and writing; Writer only looks
    return writer.node();
  } else if constexpr (std::same_as<T, bool>) {
    return write_bool(value);
  } else if constexpr (Integer<T>) {
    return write_int(static_cast<int64_t>(value));
  } else if constexpr (std::same_as<T, float>) {
    return write_float(value);
  } else if constexpr (std::floating_point<T>) {
    return write_double(static_cast<double>(value));
  } else if constexpr (std::same_as<T, std::string>) {
    return write_string(value);
  } else if constexpr (NamedEnum<T>) {
    for (const auto& entry : enum_names(value))
      if (entry.first == value) return write_string(entry.second);
    fail("configuration: an enum value has no name");
  } else if constexpr (IsOptional<T>::value) {
    return value ? write_value(*value) : ConfigNode();
  } else if constexpr (IsVector<T>::value || IsArray<T>::value) {
    std::vector<ConfigNode> items;
    for (auto&& item : value) items.push_back(write_value<typename T::value_type>(item));
    return ConfigNode::make_list(items);
  } else {
    static_assert(IsMap<T>::value, "this type cannot be a configuration field");
    ConfigNode node = ConfigNode::make_map();
    for (const auto& [key, item] : value) node = node.with(key, write_value(item));
    return node;
  }
}

template <class T>
std::string type_name() {
  if constexpr (std::same_as<T, ConfigNode>) {
    return "any";
  } else if constexpr (HasFields<T>) {
    return "section";
  } else if constexpr (std::same_as<T, bool>) {
    return "bool";
  } else if constexpr (Integer<T>) {
    return "integer";
  } else if constexpr (std::floating_point<T>) {
    return "number";
  } else if constexpr (std::same_as<T, std::string>) {
    return "string";
  } else if constexpr (NamedEnum<T>) {
    std::string names;
    for (const std::string& name : names_of(T{})) names += (names.empty() ? "" : "|") + name;
    return names;
  } else if constexpr (IsOptional<T>::value) {
    return "optional " + type_name<typename T::value_type>();
  } else if constexpr (IsMap<T>::value) {
    return "map of " + type_name<typename T::mapped_type>();
  } else {
    return "list of " + type_name<typename T::value_type>();
  }
}

}  // namespace config_detail

/// Fills the fields that `node` mentions; the others keep their values. A null node changes nothing.
/// Errors (kUsage), with file, line and key: an unknown key, a wrong type, a value out of range, validate().
template <class T>
void read_config(const ConfigNode& node, T& into) {
  config_detail::read_struct(node, into);
}

/// A struct of defaults, filled from `node`. Errors: as above.
template <class T>
T read_config(const ConfigNode& node) {
  T value;
  read_config(node, value);
  return value;
}

/// Reads a YAML file with includes and overrides ("key.sub=value") into a struct. Errors: as ConfigNode::load,
/// read_config.
template <class T>
T load_config(const std::filesystem::path& path, const std::vector<std::string>& overrides = {}) {
  return read_config<T>(ConfigNode::load(path, overrides));
}

/// Every field with its present value: the resolved configuration that is stored with a checkpoint.
template <class T>
ConfigNode write_config(const T& value) {
  return config_detail::write_value(value);
}

/// One line per field: name, type, default, rule and sentence; nested structs are indented.
template <class T>
std::string describe_config(T defaults = {}) {
  config_detail::Describer describer;
  defaults.visit_fields(describer);
  return config_detail::format_help(describer.fields());
}

}  // namespace vit
