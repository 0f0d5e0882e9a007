#include "datasets/caption_json.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <utility>

#include "datasets/picture_finder.h"
#include "vit/core/check.h"
#include "vit/io/json_stream.h"

namespace datasets {

namespace {

using nlohmann::json;

/// What is read of a file to recognise it.
constexpr size_t kSniffedBytes = size_t{1} << 20;
/// Integers beyond this are not exact in the doubles of other readers.
constexpr double kMaxExact = 0x1p53;

/// A member's value as a whole number.
std::optional<int64_t> whole(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  if (!(std::abs(value) < kMaxExact) || std::trunc(value) != value) return std::nullopt;
  return static_cast<int64_t>(value);
}

std::optional<std::string> text_of(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

vit::JsonStreamLimits limits() {
  return {.skipped = {"tokens", "sentids", "segmentation", "info", "licenses", "license"}, .repair_utf8 = true};
}

/// Errors (usage): `rest` has no such list.
void require_list(const json& rest, const char* key, const std::string& name, const char* kind) {
  if (!rest.is_object() || !rest.contains(key) || !rest.at(key).is_array())
    vit::fail_usage(name, ": ", key, ": expected a list, got none; it is no file of captions in ", kind, " form");
}

/// Opens a file and reads it. Errors (usage): it cannot be read.
template <class Read>
auto read_file_with(const std::string& path, const Read& read) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  if (!file || !std::filesystem::is_regular_file(path, error))
    vit::fail_usage(path, ": cannot be read (is it there, and a file?)");
  return read(file, path);
}

std::string beginning_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string beginning(kSniffedBytes, '\0');
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  beginning.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  const size_t first = beginning.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  return first != std::string::npos && beginning[first] == '{' ? beginning : std::string();
}

/// Whether `"key" :` stands in the text, inside a string or not: a beginning need not parse.
bool has_key(std::string_view text, std::string_view key) {
  const std::string quoted = "\"" + std::string(key) + "\"";
  for (size_t at = text.find(quoted); at != std::string_view::npos; at = text.find(quoted, at + 1)) {
    const size_t next = text.find_first_not_of(" \t\r\n", at + quoted.size());
    if (next != std::string_view::npos && text[next] == ':') return true;
  }
  return false;
}

}  // namespace

CocoCaptionFile read_coco_captions(std::istream& text, const std::string& name) {
  CocoCaptionFile file;
  const json rest = vit::stream_json(text, name, limits(), [&](const std::string& list, int64_t, const json& object) {
    if (list == "images") file.pictures.push_back({whole(object, "id"), text_of(object, "file_name").value_or("")});
    if (list == "annotations")
      file.captions.push_back({whole(object, "id"), whole(object, "image_id"), text_of(object, "caption")});
  });
  require_list(rest, "images", name, "COCO's");
  require_list(rest, "annotations", name, "COCO's");
  return file;
}

CocoCaptionFile read_coco_captions(const std::string& path) {
  return read_file_with(path,
                        [](std::istream& text, const std::string& name) { return read_coco_captions(text, name); });
}

std::vector<KarpathyPicture> read_karpathy(std::istream& text, const std::string& name) {
  std::vector<KarpathyPicture> pictures;
  const json rest = vit::stream_json(text, name, limits(), [&](const std::string& list, int64_t, const json& object) {
    if (list != "images") return;
    KarpathyPicture& picture = pictures.emplace_back();
    picture.folder = text_of(object, "filepath").value_or("");
    picture.file_name = text_of(object, "filename").value_or("");
    picture.split = text_of(object, "split").value_or("");
    picture.id = whole(object, "cocoid");
    if (!picture.id) picture.id = whole(object, "imgid");
    const auto sentences = object.find("sentences");
    if (sentences == object.end() || !sentences->is_array()) return;
    for (const json& sentence : *sentences) picture.sentences.push_back(text_of(sentence, "raw"));
  });
  require_list(rest, "images", name, "Karpathy's");
  return pictures;
}

std::vector<KarpathyPicture> read_karpathy(const std::string& path) {
  return read_file_with(path, [](std::istream& text, const std::string& name) { return read_karpathy(text, name); });
}

bool looks_like_coco_captions(const std::string& path) {
  const std::string beginning = beginning_of(path);
  if (beginning.empty() || has_key(beginning, "bbox") || has_key(beginning, "sentences")) return false;
  if (has_key(beginning, "annotations") && has_key(beginning, "caption")) return true;
  // COCO's own have a hundred thousand pictures first.
  const bool says_so = lower_case(std::filesystem::path(path).stem().string()).find("caption") != std::string::npos;
  return says_so && beginning.size() == kSniffedBytes && has_key(beginning, "images");
}

bool looks_like_karpathy(const std::string& path) {
  const std::string beginning = beginning_of(path);
  return has_key(beginning, "images") && has_key(beginning, "sentences") && has_key(beginning, "raw");
}

}  // namespace datasets
