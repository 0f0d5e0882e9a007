// JSON files of captions, as they stand there: COCO's (cocodataset.org, "Data format", Image Captioning) and Karpathy's
// (Karpathy and Fei-Fei 2015: dataset_coco.json, dataset_flickr8k.json, dataset_flickr30k.json). Read object by object;
// nothing is checked against anything else. Bytes that are no UTF-8 become U+FFFD, by which captions are refused later.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace datasets {

struct CocoCaptionPicture {
  std::optional<int64_t> id{};
  std::string file_name{};
};

struct CocoCaption {
  std::optional<int64_t> id{}, image{};
  std::optional<std::string> text{};  ///< none: no `caption`, or no text
};

struct CocoCaptionFile {
  std::vector<CocoCaptionPicture> pictures{};
  std::vector<CocoCaption> captions{};
};

struct KarpathyPicture {
  std::string folder{}, file_name{};  ///< `filepath` (COCO's), `filename`
  std::string split{};
  std::optional<int64_t> id{};                          ///< `cocoid`, else `imgid`
  std::vector<std::optional<std::string>> sentences{};  ///< `raw`; none: no text
};

/// Errors (usage), naming `name`: no JSON (with the byte), no object with the lists `images` and `annotations`.
CocoCaptionFile read_coco_captions(std::istream& text, const std::string& name);
CocoCaptionFile read_coco_captions(const std::string& path);

/// Errors (usage), naming `name`: no JSON (with the byte), no object with the list `images`.
std::vector<KarpathyPicture> read_karpathy(std::istream& text, const std::string& name);
std::vector<KarpathyPicture> read_karpathy(const std::string& path);

/// Whether a file is COCO's captions, by its beginning; one that says nothing but pictures there, by its name too.
/// Never throws.
bool looks_like_coco_captions(const std::string& path);
/// Whether the beginning of a file reads as Karpathy's. Never throws.
bool looks_like_karpathy(const std::string& path);

}  // namespace datasets
