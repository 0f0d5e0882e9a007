#include "datasets/voc_xml.h"

#include <expat.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include "vit/core/check.h"

namespace datasets {

namespace {

constexpr size_t kMaxDepth = 64;
/// Names and numbers are short; what is longer is cut.
constexpr size_t kMaxText = 4096;

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

double number_in(const std::string& text) {
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end ? value : std::numeric_limits<double>::quiet_NaN();
}

int64_t extent_in(const std::string& text) {
  constexpr double kMaxSide = 1 << 30;
  const double value = number_in(text);
  return value >= 1.0 && value <= kMaxSide ? static_cast<int64_t>(value) : 0;
}

/// expat's events to an annotation. Nothing is thrown through expat: a problem stops it and is told afterwards.
class Reader {
 public:
  explicit Reader(XML_Parser parser) : parser_(parser) {
    XML_SetUserData(parser, this);
    XML_SetElementHandler(
        parser, [](void* self, const XML_Char* name, const XML_Char**) { as_reader(self).start(name); },
        [](void* self, const XML_Char*) { as_reader(self).end(); });
    XML_SetCharacterDataHandler(parser, [](void* self, const XML_Char* text, int count) {
      as_reader(self).add_text({text, static_cast<size_t>(count)});
    });
    XML_SetStartDoctypeDeclHandler(parser, [](void* self, const XML_Char*, const XML_Char*, const XML_Char*, int) {
      as_reader(self).refuse("it declares a document type, whose entities are not expanded; remove <!DOCTYPE ...>");
    });
  }

  VocAnnotation annotation;
  std::string problem;

 private:
  static Reader& as_reader(void* self) { return *static_cast<Reader*>(self); }

  void refuse(std::string reason) {
    if (problem.empty()) problem = std::move(reason);
    XML_StopParser(parser_, XML_FALSE);
  }

  void start(const std::string& name) {
    if (lengths_.size() >= kMaxDepth) return refuse(vit::str("nested deeper than ", kMaxDepth, " elements"));
    lengths_.push_back(path_.size());
    path_ += "/" + name;
    text_.clear();
    if (lengths_.size() == 1 && name != "annotation") refuse("expected <annotation>, got <" + name + ">");
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    if (path_ == "/annotation/object") annotation.objects.push_back({.box = {kNaN, kNaN, kNaN, kNaN}});
  }

  void end() {
    const std::string text = trimmed(text_);
    text_.clear();
    if (path_ == "/annotation/filename") annotation.filename = text;
    if (path_ == "/annotation/size/width") annotation.size.width = extent_in(text);
    if (path_ == "/annotation/size/height") annotation.size.height = extent_in(text);
    if (path_.starts_with("/annotation/object/")) end_in_object(path_.substr(sizeof("/annotation/object")), text);
    path_.resize(lengths_.back());
    lengths_.pop_back();
  }

  void end_in_object(const std::string& field, const std::string& text) {
    VocObject& object = annotation.objects.back();
    if (field == "name") object.name = text;
    if (field == "difficult") object.difficult = text == "1";
    static constexpr const char* kSides[] = {"bndbox/xmin", "bndbox/ymin", "bndbox/xmax", "bndbox/ymax"};
    for (size_t side = 0; side < 4; ++side)
      if (field == kSides[side]) object.box[side] = number_in(text);
  }

  void add_text(std::string_view text) {
    if (text_.size() < kMaxText) text_ += text.substr(0, kMaxText - text_.size());
  }

  XML_Parser parser_;
  std::string path_;             // "/annotation/object/name"
  std::vector<size_t> lengths_;  // of the path above each open element
  std::string text_;
};

}  // namespace

VocAnnotation parse_voc(std::string_view text, const std::string& name) {
  if (static_cast<int64_t>(text.size()) > kMaxVocBytes)
    vit::fail_usage(name, ": longer than the limit of ", kMaxVocBytes, " bytes");
  const std::unique_ptr<std::remove_pointer_t<XML_Parser>, void (*)(XML_Parser)> parser(XML_ParserCreate(nullptr),
                                                                                        XML_ParserFree);
  vit::check(parser != nullptr, name, ": out of memory");
  Reader reader(parser.get());
  const XML_Status status = XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), /*isFinal=*/1);
  const auto line = XML_GetCurrentLineNumber(parser.get());
  if (!reader.problem.empty()) vit::fail_usage(name, ":", line, ": ", reader.problem);
  if (status != XML_STATUS_OK)
    vit::fail_usage(name, ":", line, ": no XML: ", XML_ErrorString(XML_GetErrorCode(parser.get())));
  VocAnnotation& annotation = reader.annotation;
  if (annotation.size.width == 0 || annotation.size.height == 0) annotation.size = {};
  return std::move(annotation);
}

}  // namespace datasets
