#include "vit/io/json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/io/json_errors.h"

namespace vit {

using nlohmann::json;

namespace {

constexpr size_t kMaxQuoted = 80;

std::string shortened(const std::string& text, size_t limit = kMaxQuoted) {
  return text.size() <= limit ? text : text.substr(0, limit) + "...";
}

size_t line_of(std::string_view text, size_t position) {
  size_t line = 1;
  for (char c : text.substr(0, position)) line += c == '\n' ? 1 : 0;
  return line;
}

/// Looks for nesting before anything is built: nlohmann's parser would build any depth, and what walks the result
/// (dump, comparison, this file) recurses. Strings are skipped; whether the rest is JSON is the parser's business.
void check_depth(std::string_view text, const std::string& name, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth)
        fail_usage(name, ": nested deeper than ", max_depth, " levels, at byte ", i, " (line ", line_of(text, i), ")");
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

/// "[json.exception.parse_error.101] parse error at line 1, column 3: syntax error ..." without the library's prefix,
/// and without the token that was read last when that is megabytes long.
std::string plain_message(const std::exception& error) {
  const std::string text = error.what();
  const size_t end_of_prefix = text.find("] ");
  return shortened(end_of_prefix == std::string::npos ? text : text.substr(end_of_prefix + 2), 300);
}

json parse_with_unique_keys(std::string_view text, const std::string& name) {
  std::vector<std::set<std::string>> open_objects;
  const auto watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == json::parse_event_t::object_end) open_objects.pop_back();
    if (event == json::parse_event_t::key) {
      const std::string& key = parsed.get_ref<const std::string&>();
      if (!open_objects.back().insert(key).second) fail_usage(name, ": the key '", shortened(key), "' stands twice");
    }
    return true;
  };
  return json::parse(text, watch);
}

/// A value as an error message shows it: short, and a container only by its kind.
std::string shown(const json& value) {
  if (value.is_object()) return str("an object of ", value.size());
  if (value.is_array()) return str("a list of ", value.size());
  return shortened(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

/// Integers of either sign, and floating-point numbers that are integers (JavaScript writers have no others).
bool to_int(const json& value, int64_t& result) {
  if (value.is_number_unsigned()) {
    if (value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
    result = value.get<int64_t>();
    return true;
  }
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::trunc(number) != number || std::abs(number) > 0x1p53) return false;  // NaN compares unequal
    result = static_cast<int64_t>(number);
    return true;
  }
  if (!value.is_number_integer()) return false;
  result = value.get<int64_t>();
  return true;
}

template <class T>
std::string range_phrase(const char* kind, JsonRange<T> range) {
  const bool has_min = range.min != std::numeric_limits<T>::lowest(),
             has_max = range.max != std::numeric_limits<T>::max();
  if (has_min && has_max) return str(kind, " from ", range.min, " to ", range.max);
  if (has_min) return str(kind, " of at least ", range.min);
  return has_max ? str(kind, " of at most ", range.max) : kind;
}

// One conversion per kind, for single values and for the entries of lists; `where` opens the message.

int64_t int_value(const std::string& where, const json& value, IntRange range) {
  int64_t number = 0;
  if (!to_int(value, number) || number < range.min || number > range.max)
    fail_usage(where, ": expected ", range_phrase("an integer", range), ", got ", shown(value));
  return number;
}

double double_value(const std::string& where, const json& value, DoubleRange range) {
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (!std::isfinite(number) || number < range.min || number > range.max)
    fail_usage(where, ": expected ", range_phrase("a number", range), ", got ", shown(value));
  return number;
}

std::string string_value(const std::string& where, const json& value) {
  if (!value.is_string()) fail_usage(where, ": expected a string, got ", shown(value));
  return value.get<std::string>();
}

bool bool_value(const std::string& where, const json& value) {
  if (!value.is_boolean()) fail_usage(where, ": expected true or false, got ", shown(value));
  return value.get<bool>();
}

/// The entries of a list, or the single value, converted one by one.
template <class Convert>
auto list_of(const json& value, const Convert& convert) {
  std::vector<decltype(convert(value))> result;
  if (!value.is_array()) {
    result.push_back(convert(value));
    return result;
  }
  for (const json& item : value) result.push_back(convert(item));
  return result;
}

}  // namespace

void refuse_json(const std::string& name, const std::exception& error) {
  if (const auto* syntax = dynamic_cast<const json::parse_error*>(&error))
    fail_usage(name, ": not JSON: byte ", syntax->byte, ": ", plain_message(error));
  fail_usage(name, ": not JSON: ", plain_message(error));
}

json parse_json(std::string_view text, const std::string& name, const JsonLimits& limits) {
  if (static_cast<int64_t>(text.size()) > limits.max_bytes)
    fail_usage(name, ": longer than the limit of ", limits.max_bytes, " bytes");
  check_depth(text, name, limits.max_depth);
  try {
    return limits.unique_keys ? parse_with_unique_keys(text, name) : json::parse(text);
  } catch (const json::exception& error) {
    refuse_json(name, error);
  }
}

json load_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_file(path, limits.max_bytes), path.string(), limits);
}

JsonObject::JsonObject(const json& value, std::string where) : value_(&value), where_(std::move(where)) {
  if (!value.is_object()) fail_usage(where_, ": expected an object, got ", shown(value));
}

std::string JsonObject::where(const std::string& key) const { return where_ + (nested_ ? "." : ": ") + key; }

void JsonObject::refuse(const std::string& key, const std::string& expected) const {
  const json* value = find(key);
  fail_usage(where(key), ": expected ", expected, ", got ", value ? shown(*value) : "nothing");
}

const json* JsonObject::find(const std::string& key) const {
  const auto found = value_->find(key);
  return found == value_->end() || found->is_null() ? nullptr : &*found;
}

const json& JsonObject::require(const std::string& key, const std::string& expected) const {
  const json* value = find(key);
  if (!value) refuse(key, expected);
  return *value;
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : value_->items()) keys.push_back(key);
  return keys;
}

int64_t JsonObject::require_int(const std::string& key, IntRange range) const {
  return int_value(where(key), require(key, range_phrase("an integer", range)), range);
}

int64_t JsonObject::get_int(const std::string& key, int64_t fallback, IntRange range) const {
  return has(key) ? require_int(key, range) : fallback;
}

double JsonObject::require_double(const std::string& key, DoubleRange range) const {
  return double_value(where(key), require(key, range_phrase("a number", range)), range);
}

double JsonObject::get_double(const std::string& key, double fallback, DoubleRange range) const {
  return has(key) ? require_double(key, range) : fallback;
}

bool JsonObject::get_bool(const std::string& key, bool fallback) const {
  return has(key) ? bool_value(where(key), *find(key)) : fallback;
}

std::string JsonObject::require_string(const std::string& key) const {
  return string_value(where(key), require(key, "a string"));
}

std::string JsonObject::get_string(const std::string& key, const std::string& fallback) const {
  return has(key) ? require_string(key) : fallback;
}

std::vector<int64_t> JsonObject::get_ints(const std::string& key, const std::vector<int64_t>& fallback,
                                          IntRange range) const {
  if (!has(key)) return fallback;
  return list_of(*find(key), [&](const json& item) { return int_value(where(key), item, range); });
}

std::array<int64_t, 2> JsonObject::get_extents(const std::string& key, const std::array<int64_t, 2>& fallback,
                                               IntRange range) const {
  const std::vector<int64_t> values = get_ints(key, {fallback[0], fallback[1]}, range);
  if (values.empty() || values.size() > 2) refuse(key, "one number or [height, width]");
  return {values.front(), values.back()};
}

std::vector<double> JsonObject::get_doubles(const std::string& key, const std::vector<double>& fallback,
                                            DoubleRange range) const {
  if (!has(key)) return fallback;
  return list_of(*find(key), [&](const json& item) { return double_value(where(key), item, range); });
}

std::vector<std::string> JsonObject::get_strings(const std::string& key,
                                                 const std::vector<std::string>& fallback) const {
  if (!has(key)) return fallback;
  return list_of(*find(key), [&](const json& item) { return string_value(where(key), item); });
}

std::vector<bool> JsonObject::get_bools(const std::string& key, const std::vector<bool>& fallback) const {
  if (!has(key)) return fallback;
  return list_of(*find(key), [&](const json& item) { return bool_value(where(key), item); });
}

JsonObject JsonObject::get_object(const std::string& key) const {
  static const json empty = json::object();
  const json* value = find(key);
  JsonObject object(value ? *value : empty, where(key));
  object.nested_ = true;
  return object;
}

std::vector<JsonObject> JsonObject::get_objects(const std::string& key) const {
  std::vector<JsonObject> objects;
  const json* value = find(key);
  if (value && !value->is_array()) refuse(key, "a list of objects");
  for (size_t i = 0; value && i < value->size(); ++i) {
    objects.emplace_back((*value)[i], str(where(key), "[", i, "]"));
    objects.back().nested_ = true;
  }
  return objects;
}

}  // namespace vit
