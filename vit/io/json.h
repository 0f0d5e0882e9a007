// JSON files that other people wrote: parsed with limits, read through getters that name the file and the key when a
// value is not what it should be. All errors are of kind kUsage: a wrong file was passed, nothing was processed.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vit {

struct JsonLimits {
  int64_t max_bytes = int64_t{64} << 20;  ///< Longest text that is read at all.
  int max_depth = 256;                    ///< Deepest nesting of objects and arrays; bounds every later recursion.
  bool unique_keys = false;               ///< Refuse an object that has a key twice (else the last value counts).
};

/// Parses `text`; `name` is what messages call it (a file name). Errors: not JSON (with byte and line), a limit
/// exceeded.
nlohmann::json parse_json(std::string_view text, const std::string& name, const JsonLimits& limits = {});

/// Reads and parses a file. Errors: as read_file and parse_json.
nlohmann::json load_json(const std::filesystem::path& path, const JsonLimits& limits = {});

/// Inclusive bounds of a number.
template <class T>
struct JsonRange {
  T min = std::numeric_limits<T>::lowest();
  T max = std::numeric_limits<T>::max();
};
using IntRange = JsonRange<int64_t>;
using DoubleRange = JsonRange<double>;

/// Typed view of a JSON object for reading. A key that is absent and one that is null are the same: Hugging Face writes
/// null where a default applies. `get_x(key, fallback)` gives the fallback then; `require_x(key)` is an error. Every
/// message has the form "FILE: KEY.SUBKEY: expected ..., got ...". The JSON value must outlive the view.
class JsonObject {
 public:
  /// `where` is the file's name. Errors: `value` is no object.
  JsonObject(const nlohmann::json& value, std::string where);

  /// The key is there and not null.
  bool has(const std::string& key) const { return find(key) != nullptr; }
  std::vector<std::string> keys() const;

  /// A number without a fractional part (16.0 counts) within the range.
  int64_t get_int(const std::string& key, int64_t fallback, IntRange range = {}) const;
  int64_t require_int(const std::string& key, IntRange range = {}) const;
  /// A finite number within the range.
  double get_double(const std::string& key, double fallback, DoubleRange range = {}) const;
  double require_double(const std::string& key, DoubleRange range = {}) const;
  bool get_bool(const std::string& key, bool fallback) const;
  std::string get_string(const std::string& key, const std::string& fallback) const;
  std::string require_string(const std::string& key) const;

  /// Lists. A single value counts as a list of one: "image_size": 224 and [224, 224] are both in use.
  std::vector<int64_t> get_ints(const std::string& key, const std::vector<int64_t>& fallback,
                                IntRange range = {}) const;
  /// One number for both, or [height, width].
  std::array<int64_t, 2> get_extents(const std::string& key, const std::array<int64_t, 2>& fallback,
                                     IntRange range = {}) const;
  std::vector<double> get_doubles(const std::string& key, const std::vector<double>& fallback,
                                  DoubleRange range = {}) const;
  std::vector<std::string> get_strings(const std::string& key, const std::vector<std::string>& fallback) const;
  std::vector<bool> get_bools(const std::string& key, const std::vector<bool>& fallback) const;

  /// The object under a key; an empty one when the key is absent.
  JsonObject get_object(const std::string& key) const;
  /// The objects of a list; empty when the key is absent. Errors: no list, or an entry is no object.
  std::vector<JsonObject> get_objects(const std::string& key) const;

  /// The value under a key, or null pointer.
  const nlohmann::json* find(const std::string& key) const;
  const nlohmann::json& raw() const { return *value_; }
  /// "FILE" or "FILE: KEY": for messages of the caller's own.
  const std::string& where() const { return where_; }
  /// "FILE: KEY.SUBKEY"
  std::string where(const std::string& key) const;
  /// Throws Error{kUsage} "FILE: KEY: expected `expected`, got VALUE".
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const;

 private:
  const nlohmann::json& require(const std::string& key, const std::string& expected) const;

  const nlohmann::json* value_;
  std::string where_;
  bool nested_ = false;
};

}  // namespace vit
