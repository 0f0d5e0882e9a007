// JSON files that are lists of very many small objects (annotations, detections): read one object after the other, so
// that memory follows from what the caller keeps. Everything else: json.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vit {

struct JsonStreamLimits {
  int64_t max_bytes = int64_t{4} << 30;  ///< Longest file that is read at all.
  int max_depth = 32;                    ///< Deepest nesting.
  std::vector<std::string> skipped{};    ///< Keys whose values are not kept: COCO's outlines, say.
};

/// Reads a file that is a list of objects, or an object with such lists. `visit` is called for each object of a list,
/// in the file's order, with the key that the list stands under ("" where the file is one list), the object's position
/// in it, and the object. Returns what else there is, by key: lists without their objects, and the other values. Errors
/// (usage): no such file, not JSON (with byte), a limit exceeded, neither a list nor an object; what `visit` throws.
nlohmann::json stream_json(
    const std::filesystem::path& path, const JsonStreamLimits& limits,
    const std::function<void(const std::string& list, int64_t position, const nlohmann::json& object)>& visit);

}  // namespace vit
