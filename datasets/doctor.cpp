#include "datasets/doctor.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "datasets/open.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/image/decode.h"

namespace datasets {

namespace {

/// Pictures between two reports of progress. A constant: facts do not depend on it, memory does not grow with it.
constexpr int64_t kBlock = 256;

/// The kind of a failure by the words that the decoders use.
std::string problem_kind(const std::string& message) {
  const auto says = [&](const char* words) { return message.find(words) != std::string::npos; };
  if (says("truncated ")) return "truncated";
  if (says("more than the limit of")) return "huge";
  return "unreadable";
}

bool stores_alpha(std::span<const std::byte> bytes, vit::ImageFormat format) {
  constexpr size_t kPngColourType = 25, kWebpFlags = 20;
  if (format == vit::ImageFormat::kPng && bytes.size() > kPngColourType)
    return (std::to_integer<int>(bytes[kPngColourType]) & 4) != 0;
  if (format == vit::ImageFormat::kWebp && bytes.size() > kWebpFlags && std::memcmp(bytes.data() + 12, "VP8X", 4) == 0)
    return (std::to_integer<int>(bytes[kWebpFlags]) & 0x10) != 0;
  return false;
}

/// Colours: whether all pixels are grey, and whether all are the same.
void look_at_colours(const vit::Image& image, PictureFacts& facts) {
  const uint8_t* first = image.row(0);
  facts.is_grey = facts.is_blank = true;
  for (int64_t y = 0; y < image.height() && (facts.is_grey || facts.is_blank); ++y) {
    const uint8_t* pixel = image.row(y);
    for (int64_t x = 0; x < image.width(); ++x, pixel += 3) {
      facts.is_grey &= pixel[0] == pixel[1] && pixel[1] == pixel[2];
      facts.is_blank &= pixel[0] == first[0] && pixel[1] == first[1] && pixel[2] == first[2];
    }
  }
}

vit::Image decode(const Dataset& data, int64_t index, const DoctorOptions& options, PictureFacts& facts) {
  const std::string stored = data.encoded(index);
  if (stored.empty()) return data.load(index);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(stored));
  const std::string source = data.source(index);
  const vit::ImageHeader header = vit::read_image_header(bytes, source);
  facts.format = header.format;
  facts.orientation = header.orientation;
  facts.has_alpha = stores_alpha(bytes, header.format);
  return vit::decode_image(bytes, source, {.max_pixels = options.max_pixels});
}

ExaminedSplit open_split(const std::string& spec, const std::string& split, const DoctorOptions& options,
                         std::string& format) {
  OpenedDataset opened = open_dataset(
      spec, {.split = split, .class_map = options.class_map, .decode = {.max_pixels = options.max_pixels}});
  format = opened.format;
  ExaminedSplit examined{.name = opened.split, .root = opened.root, .data = std::move(opened.data), .pictures = {}};
  examined.pictures.resize(static_cast<size_t>(examined.data->size()));
  return examined;
}

}  // namespace

const char* name_of(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::note:
      return "note";
  }
  return "";
}

vit::Registry<DoctorCheck>& doctor_checks() {
  static vit::Registry<DoctorCheck> registry("check of the doctor");
  return registry;
}

PictureFacts examine_picture(const Dataset& data, int64_t index, const DoctorOptions& options) {
  PictureFacts facts;
  try {
    const vit::Image image = decode(data, index, options, facts);
    facts.height = image.height();
    facts.width = image.width();
    facts.pixels = pixel_hash(image);
    facts.look = look_of(image);
    look_at_colours(image, facts);
  } catch (const vit::Error& error) {
    facts.problem = error.what();
    facts.problem_kind = problem_kind(facts.problem);
    // The finding says which picture it is; the reason need not say so again.
    const std::string place = data.source(index) + ": ";
    if (facts.problem.starts_with(place)) facts.problem.erase(0, place.size());
  }
  return facts;
}

Examination examine(const std::string& spec, const std::string& split, const DoctorOptions& options,
                    const std::function<void(int64_t)>& begin, const std::function<void(int64_t)>& advance) {
  Examination examination{.format = {}, .splits = {}, .options = options};
  std::vector<std::string> names = {split};
  if (split.empty())
    if (std::vector<std::string> all = dataset_splits(spec); !all.empty()) names = std::move(all);
  int64_t total = 0;
  for (const std::string& name : names) {
    examination.splits.push_back(open_split(spec, name, options, examination.format));
    total += examination.splits.back().data->size();
  }
  if (begin) begin(total);
  for (ExaminedSplit& examined : examination.splits) {
    const int64_t size = examined.data->size();
    for (int64_t first = 0; first < size; first += kBlock) {
      const int64_t count = std::min(kBlock, size - first);
      vit::parallel_try(count, [&](int64_t i) {
        examined.pictures[static_cast<size_t>(first + i)] = examine_picture(*examined.data, first + i, options);
      });
      if (advance) advance(count);
    }
  }
  return examination;
}

std::vector<Finding> diagnose(const Examination& examination) {
  std::vector<Finding> findings;
  for (const std::string& name : doctor_checks().names()) doctor_checks().find(name)(examination, findings);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return findings;
}

}  // namespace datasets
