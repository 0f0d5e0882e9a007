// JSON files that are lists of very many small objects (annotations, detections): read one object after the other, so
// that memory follows from what the caller keeps. Everything else: json.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vit {

struct JsonStreamLimits {
  int64_t max_bytes = int64_t{4} << 30;  ///< Longest file that is read at all.
  int max_depth = 32;                    ///< Deepest nesting.
  std::vector<std::string> skipped{};    ///< Keys whose values are not kept: COCO's outlines, say.
  /// Bytes that are no UTF-8 become U+FFFD, for the caller to report; else they end reading, as JSON demands.
  bool repair_utf8 = false;
};

/// Takes the object at `position` of a list.
using JsonVisit = std::function<void(const std::string& list, int64_t position, const nlohmann::json& object)>;

/// Reads a file that is a list of objects, or an object with such lists. `visit` is called for each object of a list,
/// in the file's order, with the key that the list stands under ("" where the file is one list), the object's position
/// in it, and the object. Returns what else there is, by key: lists without their objects, and the other values. Errors
/// (usage): no such file, not JSON (with byte), a limit exceeded, neither a list nor an object; what `visit` throws.
nlohmann::json stream_json(const std::filesystem::path& path, const JsonStreamLimits& limits, const JsonVisit& visit);
/// The same of an open text, of any length, which messages call `name`.
nlohmann::json stream_json(std::istream& text, const std::string& name, const JsonStreamLimits& limits,
                           const JsonVisit& visit);

}  // namespace vit
