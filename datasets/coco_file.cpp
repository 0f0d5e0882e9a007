#include "datasets/coco_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/file.h"

namespace datasets {

namespace {

using nlohmann::json;

/// What is read of a file to recognise it.
constexpr size_t kSniffedBytes = size_t{1} << 20;
/// Integers beyond this are not exact in the doubles of other readers.
constexpr double kMaxExact = 0x1p53;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

enum class Section : uint8_t { none, images, annotations, categories };

Section section_of(const std::string& key) {
  if (key == "images") return Section::images;
  if (key == "annotations") return Section::annotations;
  if (key == "categories") return Section::categories;
  return Section::none;
}

/// What NaN and the infinities become before a parser sees them that does not know them: an empty list of the same
/// length, which is no number either.
void blank_out(std::string& text, size_t at, size_t length) {
  std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(at), length, ' ');
  text[at] = '[';
  text[at + length - 1] = ']';
}

void replace_nan(std::string& text) {
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
      continue;
    }
    in_string = c == '"';
    for (const std::string_view word : {"NaN", "-Infinity", "Infinity"})
      if (c == word[0] && text.compare(i, word.size(), word) == 0) blank_out(text, i, word.size());
  }
}

/// A value of a record, as far as it is one that is read.
struct Value {
  enum class Kind : uint8_t { none, number, text } kind = Kind::none;
  double number = kNaN;
  const std::string* text = nullptr;

  /// A whole number, also one that stands in quotation marks.
  std::optional<int64_t> whole() const {
    if (kind == Kind::number && std::trunc(number) == number && std::abs(number) < kMaxExact)
      return static_cast<int64_t>(number);
    if (kind != Kind::text) return std::nullopt;
    int64_t value = 0;
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, value);
    return error == std::errc() && rest == end ? std::optional(value) : std::nullopt;
  }
};

/// Events of nlohmann's parser to records. Levels: 1 the object, 2 a section's list, 3 a record, 4 a bbox.
class Reader {
 public:
  CocoFile file;
  bool has_images = false, has_annotations = false, has_categories = false;
  std::string problem;

  bool null() { return add({}); }
  bool boolean(bool value) { return add({Value::Kind::number, value ? 1.0 : 0.0}); }
  bool number_integer(json::number_integer_t value) { return add({Value::Kind::number, static_cast<double>(value)}); }
  bool number_unsigned(json::number_unsigned_t value) { return add({Value::Kind::number, static_cast<double>(value)}); }
  bool number_float(json::number_float_t value, const std::string&) { return add({Value::Kind::number, value}); }
  bool string(std::string& value) { return add({Value::Kind::text, kNaN, &value}); }
  bool binary(json::binary_t&) { return add({}); }

  bool start_object(size_t) {
    if (level_ == 4) add_coordinate(kNaN);
    if (++level_ == 3) start_record();
    return true;
  }
  bool end_object() {
    if (level_-- == 3) in_record_ = false;
    return true;
  }
  bool start_array(size_t) {
    if (level_ == 0) return refuse("expected an object with images, annotations and categories, got a list");
    if (level_ == 1) note_section();
    if (level_ == 4) add_coordinate(kNaN);  // what NaN became, too
    ++level_;
    return true;
  }
  bool end_array() {
    --level_;
    return true;
  }
  bool key(std::string& name) {
    if (level_ == 1) {
      section_ = section_of(name);
      is_list_ = false;
    }
    if (level_ == 3) field_ = name;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const json::exception& error) {
    const std::string text = error.what();
    const size_t prefix = text.find("] ");
    return refuse(
        vit::str("not JSON: byte ", position, ": ", text.substr(prefix == std::string::npos ? 0 : prefix + 2, 300)));
  }

 private:
  bool refuse(std::string reason) {
    problem = std::move(reason);
    return false;
  }
  void note_section() {
    is_list_ = true;
    has_images |= section_ == Section::images;
    has_annotations |= section_ == Section::annotations;
    has_categories |= section_ == Section::categories;
  }
  void start_record() {
    field_.clear();
    in_record_ = is_list_ && section_ != Section::none;
    if (!in_record_) return;
    if (section_ == Section::images) file.images.emplace_back();
    if (section_ == Section::annotations) file.annotations.emplace_back();
    if (section_ == Section::categories) file.categories.emplace_back();
  }
  void add_coordinate(double value) {
    if (!in_record_ || section_ != Section::annotations || field_ != "bbox") return;
    CocoAnnotation& annotation = file.annotations.back();
    if (annotation.numbers < 4) annotation.bbox[static_cast<size_t>(annotation.numbers)] = value;
    ++annotation.numbers;
  }
  bool add(const Value& value) {
    if (level_ == 0) return refuse("expected an object with images, annotations and categories, got a single value");
    if (level_ == 4) add_coordinate(value.kind == Value::Kind::number ? value.number : kNaN);
    if (level_ != 3 || !in_record_) return true;
    if (section_ == Section::images) add_to_image(value, file.images.back());
    if (section_ == Section::annotations) add_to_annotation(value, file.annotations.back());
    if (section_ == Section::categories) add_to_category(value, file.categories.back());
    return true;
  }
  void add_to_image(const Value& value, CocoImage& image) const {
    if (field_ == "id") image.id = value.whole();
    if (field_ == "height") image.height = std::max<int64_t>(0, value.whole().value_or(0));
    if (field_ == "width") image.width = std::max<int64_t>(0, value.whole().value_or(0));
    if (field_ == "file_name" && value.text) image.file_name = *value.text;
  }
  void add_to_category(const Value& value, CocoCategory& category) const {
    if (field_ == "id") category.id = value.whole();
    if (field_ == "name" && value.text) category.name = *value.text;
  }
  void add_to_annotation(const Value& value, CocoAnnotation& annotation) const {
    if (field_ == "id") annotation.id = value.whole();
    if (field_ == "image_id") annotation.image = value.whole();
    if (field_ == "category_id") annotation.category = value.whole();
    if (field_ == "iscrowd") annotation.crowd = value.kind == Value::Kind::number && value.number != 0.0;
    if (field_ == "track_id") annotation.track = value.whole();
    if (field_ == "area" && std::isfinite(value.number)) annotation.area = value.number;
  }

  int level_ = 0;
  Section section_ = Section::none;
  bool is_list_ = false;    // the section's value
  bool in_record_ = false;  // of a section
  std::string field_;       // of the record
};

}  // namespace

CocoFile parse_coco(std::string text, const std::string& name) {
  replace_nan(text);
  Reader reader;
  json::sax_parse(text.begin(), text.end(), &reader);
  if (!reader.problem.empty()) vit::fail_usage(name, ": ", reader.problem);
  const auto require = [&](bool found, const char* key) {
    if (!found) vit::fail_usage(name, ": ", key, ": expected a list, got none; it is no COCO file of instances");
  };
  require(reader.has_images, "images");
  require(reader.has_annotations, "annotations");
  require(reader.has_categories, "categories");
  return std::move(reader.file);
}

CocoFile read_coco(const std::string& path) { return parse_coco(vit::read_file(path, kMaxCocoBytes), path); }

bool looks_like_coco(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string beginning(kSniffedBytes, '\0');
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  beginning.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  if (beginning.find_first_not_of(" \t\r\n\xEF\xBB\xBF") == std::string::npos) return false;
  replace_nan(beginning);
  // The end of the beginning is an error of the parser's, by which everything is known that came before.
  Reader reader;
  json::sax_parse(beginning.begin(), beginning.end(), &reader);
  const int sections = int{reader.has_images} + int{reader.has_annotations} + int{reader.has_categories};
  if (beginning.size() < kSniffedBytes) return sections == 3;
  return sections >= 1;
}

}  // namespace datasets
