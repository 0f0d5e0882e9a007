#include "vit/core/config.h"

#include <charconv>
#include <cmath>

#include "vit/core/config_text.h"
#include "vit/core/names.h"

namespace vit::config_detail {

namespace {

/// "expected an integer of at least 1, got 'abc'"
[[noreturn]] void refuse_value(const ConfigNode& node, const std::string& expected) {
  node.refuse("expected " + expected + ", got " + node.description() + (node.is_text() ? " in quotes" : ""));
}

/// Numbers as people write bounds: 1, 0.5, 1e-08.
std::string bound(double value) {
  constexpr double kExact = 1e15;
  return value == std::floor(value) && std::abs(value) < kExact ? std::to_string(static_cast<int64_t>(value))
                                                                : str(value);
}

std::string range_phrase(const FieldRule& rule) {
  const bool has_min = std::isfinite(rule.min), has_max = std::isfinite(rule.max);
  if (has_min && has_max) return str(rule.above_min ? " above " : " from ", bound(rule.min), " to ", bound(rule.max));
  if (has_min) return str(rule.above_min ? " above " : " of at least ", bound(rule.min));
  return has_max ? str(" of at most ", bound(rule.max)) : "";
}

bool in_range(double value, const FieldRule& rule) {
  return value <= rule.max && (rule.above_min ? value > rule.min : value >= rule.min);
}

/// All of a plain scalar as a number. from_chars: no locale, no leading blanks, and it says where it stopped.
template <class Number>
bool parse_number(const ConfigNode& node, Number& value) {
  if (!node.is_scalar() || node.is_text()) return false;
  const std::string& text = node.text();
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') ++begin;
  const auto result = std::from_chars(begin, end, value);
  return result.ec == std::errc() && result.ptr == end;
}

template <class Number>
ConfigNode write_number(Number value) {
  char text[64];
  const auto result = std::to_chars(text, text + sizeof(text), value);  // the shortest that reads back to the same
  return ConfigNode::make_scalar(std::string(text, result.ptr), false);
}

}  // namespace

bool read_bool(const ConfigNode& node) {
  if (node.is_scalar() && !node.is_text()) {
    const std::string& text = node.text();
    if (text == "true" || text == "True" || text == "TRUE") return true;
    if (text == "false" || text == "False" || text == "FALSE") return false;
  }
  refuse_value(node, "true or false");
}

int64_t read_int(const ConfigNode& node, int64_t min, int64_t max, const FieldRule& rule) {
  const std::string expected = "an integer" + range_phrase(rule);
  int64_t value = 0;
  if (!parse_number(node, value)) refuse_value(node, expected);
  if (!in_range(static_cast<double>(value), rule)) refuse_value(node, expected);
  if (value < min || value > max) refuse_value(node, str("an integer from ", min, " to ", max));
  return value;
}

double read_double(const ConfigNode& node, const FieldRule& rule) {
  double value = 0;
  if (!parse_number(node, value) || !std::isfinite(value) || !in_range(value, rule))
    refuse_value(node, "a number" + range_phrase(rule));
  return value;
}

std::string read_string(const ConfigNode& node, const FieldRule& rule) {
  if (!node.is_scalar()) refuse_value(node, "a string");
  if (!rule.one_of.empty()) return rule.one_of[read_choice(node, rule.one_of)];
  return node.text();
}

size_t read_choice(const ConfigNode& node, const std::vector<std::string>& names) {
  if (!node.is_scalar()) refuse_value(node, "one of " + joined(names));
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == node.text()) return i;
  refuse_value(node, "one of " + joined(names) + did_you_mean(node.text(), names));
}

std::vector<ConfigNode> read_list(const ConfigNode& node) {
  if (!node.is_list()) refuse_value(node, "a list");
  return node.items();
}

void require_map(const ConfigNode& node) {
  if (!node.is_map() && !node.is_null()) refuse_value(node, "a map of keys");
}

void refuse_unknown_keys(const ConfigNode& node, const std::vector<std::string>& known) {
  for (const std::string& key : node.keys()) {
    bool is_known = false;
    for (const std::string& name : known) is_known |= name == key;
    if (is_known) continue;
    const std::string all = known.empty() ? "no keys are known here" : "known: " + joined(known);
    fail_usage(node.get(key).place(), ": unknown key '", node.get(key).path(), "'", did_you_mean(key, known), "; ",
               all);
  }
}

void rethrow_with_place(const ConfigNode& node, const Error& error) { node.refuse(error.what()); }

ConfigNode write_bool(bool value) { return ConfigNode::make_scalar(value ? "true" : "false", false); }
ConfigNode write_int(int64_t value) { return write_number(value); }

ConfigNode write_double(double value) {
  check(std::isfinite(value), "configuration: a number must be finite, got ", value);
  return write_number(value);
}

ConfigNode write_float(float value) {
  check(std::isfinite(value), "configuration: a number must be finite, got ", value);
  return write_number(value);
}

ConfigNode write_string(const std::string& value) { return ConfigNode::make_scalar(value, true); }

std::string format_help(const std::vector<FieldHelp>& fields) {
  std::string help;
  for (const FieldHelp& field : fields) {
    help += std::string(2 * static_cast<size_t>(field.depth), ' ') + field.name;
    if (!field.is_section) {
      const std::string choices = field.rule.one_of.empty() ? "" : ", one of " + joined(field.rule.one_of);
      const std::string range = range_phrase(field.rule);
      help += " (" + field.type + range + choices + "; default " + inline_yaml(field.value, "none") + ")";
    }
    help += ": " + field.doc + "\n";
  }
  return help;
}

}  // namespace vit::config_detail
