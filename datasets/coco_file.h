// COCO's JSON of instances (cocodataset.org, "Data format"), as it stands in the file: nothing is checked against
// anything else, nothing repaired. Read piece by piece, so that half a gigabyte needs no tree in memory; masks, key
// points and unknown keys are skipped.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace datasets {

struct CocoImage {
  std::optional<int64_t> id{};
  std::string file_name{};
  int64_t height = 0, width = 0;  ///< 0: not said
};

struct CocoCategory {
  std::optional<int64_t> id{};
  std::string name{};
};

struct CocoAnnotation {
  std::optional<int64_t> id{}, image{}, category{};
  std::array<double, 4> bbox{};  ///< x, y, width, height; NaN where the file has that, or no number
  int64_t numbers = 0;           ///< how many bbox has in the file; 4 where it is right
  std::optional<double> area{};
  bool crowd = false;
  std::optional<int64_t> track{};  ///< `track_id`, which is not COCO's own
};

struct CocoFile {
  std::vector<CocoImage> images{};
  std::vector<CocoCategory> categories{};
  std::vector<CocoAnnotation> annotations{};
};

/// Longest file that is read.
inline constexpr int64_t kMaxCocoBytes = int64_t{2} << 30;

/// NaN, Infinity and -Infinity, which Python writes, are read as NaN. Errors (usage), naming `name`: no JSON (with the
/// byte), no object at the top, `images`, `annotations` or `categories` missing or no list.
CocoFile parse_coco(std::string text, const std::string& name);
/// Errors: as above, and: unreadable, longer than kMaxCocoBytes.
CocoFile read_coco(const std::string& path);

/// Whether the beginning of a file reads as COCO's. Never throws.
bool looks_like_coco(const std::string& path);

}  // namespace datasets
