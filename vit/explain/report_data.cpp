#include "vit/explain/report_data.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "vit/core/check.h"
#include "vit/core/utf8.h"
#include "vit/explain/overlay.h"
#include "vit/image/encode.h"
#include "vit/image/resize.h"

namespace vit::detail {

namespace {

using nlohmann::ordered_json;

constexpr int kColors = 256;
/// Pictures with fewer pixels than this on their longer side are embedded as PNG, exactly.
constexpr int64_t kExactSide = 256;

ordered_json texts_of(const std::vector<std::string>& texts) {
  ordered_json list = ordered_json::array();
  for (const std::string& text : texts) list.push_back(repaired_utf8(text));
  return list;
}

/// A window without extent is the whole grid.
ordered_json window_of(const CellWindow& window, int64_t rows, int64_t columns) {
  const bool whole = !(window.rows > 0.0 && window.columns > 0.0);
  const CellWindow all{.rows = static_cast<double>(rows), .columns = static_cast<double>(columns)};
  const CellWindow& part = whole ? all : window;
  return {{"top", part.top}, {"left", part.left}, {"rows", part.rows}, {"columns", part.columns}};
}

ordered_json tokens_of(const ReportTokens& tokens) {
  return {{"before", texts_of(tokens.before)},
          {"rows", tokens.rows},
          {"columns", tokens.columns},
          {"window", window_of(tokens.window, tokens.rows, tokens.columns)},
          {"after", texts_of(tokens.after)}};
}

ordered_json heads_of(const ReportLayer& layer, LayerPart part) {
  const int64_t heads = layer.probs.size(0);
  if (layer.mean_of > 1) return {str("mean of ", layer.mean_of, " heads")};
  if (part == LayerPart::mean && heads > 1) return {str("mean of ", heads, " heads")};
  ordered_json names = ordered_json::array();
  for (int64_t h = 0; h < heads; ++h)
    names.push_back(str("head ", layer.heads.empty() ? h : layer.heads[static_cast<size_t>(h)]));
  return names;
}

std::string bytes_of(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

ordered_json layer_json(const ReportLayer& layer, LayerPart part, bool with_numbers) {
  const QuantisedAttention attention = with_numbers ? quantised(layer, part) : QuantisedAttention{};
  return {{"name", repaired_utf8(layer.name)}, {"note", repaired_utf8(layer.note)},
          {"heads", heads_of(layer, part)},    {"queries", tokens_of(layer.queries)},
          {"keys", tokens_of(layer.keys)},     {"scales", base64(bytes_of(attention.scales))},
          {"values", base64(attention.shares)}};
}

ordered_json map_json(const ReportMap& map) {
  const MapScale scale = scale_of(map.map, map.is_signed);
  std::string values;
  for (const float value : map.map.span<float>())
    values += static_cast<char>(std::lround(255.0 * std::clamp(scale.share(value), 0.0, 1.0)));
  ordered_json figures = ordered_json::object();
  for (const ReportFigure& figure : map.figures) {
    ordered_json entry{{"value", nullptr}, {"text", repaired_utf8(figure.text)}};
    if (figure.value && std::isfinite(*figure.value)) entry["value"] = *figure.value;
    if (figure.value && !std::isfinite(*figure.value) && figure.text.empty()) entry["text"] = "none";
    figures[repaired_utf8(figure.name)] = entry;
  }
  return {{"name", repaired_utf8(map.name)},
          {"subject", repaired_utf8(map.subject)},
          {"note", repaired_utf8(map.note)},
          {"rows", map.map.size(0)},
          {"columns", map.map.size(1)},
          {"window", window_of(map.window, map.map.size(0), map.map.size(1))},
          {"signed", map.is_signed},
          {"min", scale.min},
          {"max", scale.max},
          {"values", base64(values)},
          {"figures", figures}};
}

/// The picture as a data URL, scaled down where it is larger than wanted.
std::string picture_url(const Image& picture, int64_t side, Extent& size) {
  const int64_t longer = std::max(picture.height(), picture.width());
  Image shown = picture;
  if (longer > side) {
    const auto extent = [&](int64_t pixels) { return std::max<int64_t>(1, (pixels * side + longer / 2) / longer); };
    shown = resize(picture,
                   {.height = extent(picture.height()), .width = extent(picture.width()), .filter = Filter::kBicubic});
  }
  size = {shown.height(), shown.width()};
  if (std::max(size.height, size.width) < kExactSide) return "data:image/png;base64," + base64(encode_png(shown));
  return "data:image/jpeg;base64," + base64(encode_jpeg(shown, 88));
}

ordered_json picture_json(const ReportPicture& picture, const std::vector<LayerPart>& parts, int64_t side,
                          bool with_numbers) {
  ordered_json layers = ordered_json::array(), maps = ordered_json::array();
  for (size_t l = 0; l < picture.layers.size(); ++l)
    if (parts[l] != LayerPart::none) layers.push_back(layer_json(picture.layers[l], parts[l], with_numbers));
  for (const ReportMap& map : picture.maps) maps.push_back(map_json(map));
  Extent size{};
  const std::string url = picture_url(picture.picture, side, size);
  return {{"name", repaired_utf8(picture.name)},
          {"lines", texts_of(picture.lines)},
          {"width", size.width},
          {"height", size.height},
          {"image", url},
          {"layers", layers},
          {"maps", maps}};
}

/// The columns of the table: every figure of any map, in the order in which they come.
ordered_json figures_json(const Report& report) {
  ordered_json columns = ordered_json::array();
  std::vector<std::string> known;
  for (const ReportPicture& picture : report.pictures)
    for (const ReportMap& map : picture.maps)
      for (const ReportFigure& figure : map.figures) {
        if (std::find(known.begin(), known.end(), figure.name) != known.end()) continue;
        known.push_back(figure.name);
        constexpr std::array<const char*, 3> kGoals{"none", "low", "high"};
        columns.push_back({{"name", repaired_utf8(figure.name)},
                           {"goal", kGoals[static_cast<size_t>(figure.goal)]},
                           {"hint", repaired_utf8(figure.hint)}});
      }
  return columns;
}

std::string colors_of(bool is_signed) {
  const MapScale scale{.is_signed = is_signed};
  std::string bytes;
  for (int i = 0; i < kColors; ++i) {
    const Color color = scale.color(i / static_cast<double>(kColors - 1));
    for (const uint8_t channel : {color.r, color.g, color.b}) bytes += static_cast<char>(channel);
  }
  return bytes;
}

ordered_json notes_json(const Report& report, const ReportPlan& plan) {
  ordered_json notes = ordered_json::array();
  bool attention = false;
  for (size_t p = 0; p < report.pictures.size(); ++p) {
    attention = attention || !report.pictures[p].layers.empty();
    for (const std::string& note : plan.notes[p]) notes.push_back(repaired_utf8(note));
  }
  if (report.left_out > 0)
    notes.push_back(str("To keep the file small, ", report.left_out,
                        report.left_out == 1 ? " further picture is" : " further pictures are", " not in it."));
  if (attention)
    notes.push_back(
        "Attention is kept in steps of 1/255 of the largest value of each query's row. Thumbnails show all of a "
        "layer's "
        "grid; parts of the picture without colour were cut off before the model.");
  return notes;
}

void check_finite(const Tensor& values, bool negative_too, const std::string& where) {
  for (const float value : values.span<float>())
    check(std::isfinite(value) && (negative_too || value >= 0.0f), "report: ", where, ": expected finite numbers",
          negative_too ? "" : " from 0", ", got ", value);
}

void check_layer(const ReportLayer& layer, const std::string& where) {
  check(layer.probs.defined() && layer.probs.dtype() == DType::f32 && layer.probs.rank() == 3 &&
            layer.probs.size(0) > 0 && layer.probs.size(1) == layer.queries.count() &&
            layer.probs.size(2) == layer.keys.count() && layer.probs.numel() > 0,
        "report: ", where, ": expected f32 [heads, ", layer.queries.count(), ", ", layer.keys.count(), "], got ",
        layer.probs.defined() ? str(name_of(layer.probs.dtype()), " ", layer.probs.shape()) : "nothing");
  check(layer.heads.empty() || static_cast<int64_t>(layer.heads.size()) == layer.probs.size(0), "report: ", where, ": ",
        layer.heads.size(), " numbers of heads for ", layer.probs.size(0), " heads");
  check(layer.mean_of == 1 || layer.probs.size(0) == 1, "report: ", where, ": a mean of ", layer.mean_of, " heads has ",
        layer.probs.size(0), " heads");
  check_finite(layer.probs, false, where);
}

}  // namespace

std::string base64(std::string_view bytes) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve(static_cast<size_t>(base64_size(static_cast<int64_t>(bytes.size()))));
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i) group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    for (size_t i = 0; i < 4; ++i) text += i <= count ? kLetters[group >> (18 - 6 * i) & 63u] : '=';
  }
  return text;
}

QuantisedAttention quantised(const ReportLayer& layer, LayerPart part) {
  const int64_t heads = layer.probs.size(0), queries = layer.probs.size(1), keys = layer.probs.size(2);
  const bool mean = part == LayerPart::mean;
  const float* probs = layer.probs.f32();
  QuantisedAttention result;
  std::vector<float> row(static_cast<size_t>(keys));
  for (int64_t r = 0; r < (mean ? 1 : heads) * queries; ++r) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (int64_t h = 0; h < (mean ? heads : 1); ++h)
      for (int64_t k = 0; k < keys; ++k)
        row[static_cast<size_t>(k)] += probs[(h * queries + r) * keys + k] / (mean ? static_cast<float>(heads) : 1.0f);
    const float scale = *std::max_element(row.begin(), row.end());
    result.scales.push_back(scale);
    for (const float value : row)
      result.shares += static_cast<char>(scale > 0.0f ? std::lround(255.0f * (value / scale)) : 0);
  }
  return result;
}

void check_picture(const ReportPicture& picture, size_t number) {
  const std::string name = picture.name.empty() ? str("picture ", number) : picture.name;
  check(picture.picture.defined(), "report: ", name, ": there are no pixels");
  for (const ReportLayer& layer : picture.layers) check_layer(layer, name + ": " + layer.name);
  for (const ReportMap& map : picture.maps) {
    const std::string where = name + ": " + map.name;
    check(map.map.defined() && map.map.dtype() == DType::f32 && map.map.rank() == 2 && map.map.numel() > 0,
          "report: ", where, ": expected a map f32 [rows, columns], got ",
          map.map.defined() ? str(name_of(map.map.dtype()), " ", map.map.shape()) : "nothing");
    check_finite(map.map, true, where);
  }
}

std::string report_json(const Report& report, const ReportPlan& plan, const ReportOptions& options, bool with_numbers) {
  ordered_json pictures = ordered_json::array();
  for (size_t p = 0; p < report.pictures.size(); ++p)
    pictures.push_back(picture_json(report.pictures[p], plan.layers[p], options.picture_side, with_numbers));
  const ordered_json data{
      {"title", repaired_utf8(report.title)},
      {"lines", texts_of(report.lines)},
      {"notes", notes_json(report, plan)},
      {"colors", {{"sequential", base64(colors_of(false))}, {"diverging", base64(colors_of(true))}}},
      {"figures", figures_json(report)},
      {"pictures", pictures}};
  std::string text;
  for (const char letter : data.dump()) {
    // "</script>" would end the element; in JSON "<" stands in texts only.
    if (letter == '<')
      text += "\\u003c";
    else
      text += letter;
  }
  return text;
}

}  // namespace vit::detail
