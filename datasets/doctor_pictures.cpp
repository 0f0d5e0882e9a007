// Checks of single pictures: what cannot be read, and what is odd about those that can; and files that are no pictures.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <utility>

#include "datasets/doctor.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// What most pictures of a split have in common is said once, not for each.
constexpr double kCommonShare = 0.5;
constexpr size_t kCommonCount = 20;

/// The format that a file's ending promises; unknown where it promises none.
vit::ImageFormat promised_format(const std::string& source) {
  using vit::ImageFormat;
  static const std::map<std::string, ImageFormat> formats = {
      {".jpg", ImageFormat::kJpeg}, {".jpeg", ImageFormat::kJpeg}, {".jpe", ImageFormat::kJpeg},
      {".png", ImageFormat::kPng},  {".bmp", ImageFormat::kBmp},   {".webp", ImageFormat::kWebp},
      {".tif", ImageFormat::kTiff}, {".tiff", ImageFormat::kTiff}, {".ppm", ImageFormat::kPnm},
      {".pgm", ImageFormat::kPnm},  {".pbm", ImageFormat::kPnm}};
  std::string ending = std::filesystem::path(source).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto found = formats.find(ending);
  return found == formats.end() ? ImageFormat::kUnknown : found->second;
}

/// Something odd about a readable picture.
struct Oddity {
  Severity severity;
  const char* kind;
  const char* common;  ///< "N of M pictures ...", where it is common
  std::string detail;  ///< empty: this picture does not have it
};

std::vector<Oddity> oddities_of(const PictureFacts& facts, const std::string& source, const DoctorOptions& options) {
  const std::string extents = vit::str(facts.width, " x ", facts.height, " pixels");
  const vit::ImageFormat promised = promised_format(source);
  const bool misnamed =
      promised != vit::ImageFormat::kUnknown && facts.format != vit::ImageFormat::kUnknown && promised != facts.format;
  const auto when = [](bool holds, std::string detail) { return holds ? std::move(detail) : std::string(); };
  return {
      {Severity::warning, "tiny", "have a side shorter than the limit",
       when(std::min(facts.height, facts.width) < options.min_side,
            vit::str(extents, ", a side shorter than ", options.min_side))},
      {Severity::warning, "large", "are large, which makes decoding slow: store them smaller",
       when(facts.height * facts.width > options.large_pixels,
            vit::str(extents, ": decoding is slow; store it smaller"))},
      {Severity::warning, "blank", "have one colour only", when(facts.is_blank, extents + " of one colour")},
      {Severity::note, "rotated", "are turned by their EXIF orientation; tools that do not honour it see them lying",
       when(facts.orientation != 1, vit::str("EXIF orientation ", facts.orientation,
                                             ": turned when read; tools that do not honour it see it lying"))},
      {Severity::note, "grey", "are grey; the channels are equal",
       when(facts.is_grey && !facts.is_blank, "grey: the channels are equal")},
      {Severity::note, "alpha", "have an alpha channel, which is dropped",
       when(facts.has_alpha, "the alpha channel is dropped, what was transparent shows its colour")},
      {Severity::note, "misnamed", "are of another format than their name says",
       when(misnamed, vit::str("it is a ", vit::name_of(facts.format), ", whatever its name says"))},
  };
}

void check_readable(const ExaminedSplit& split, const DoctorOptions& options, std::vector<Finding>& findings) {
  std::map<std::string, std::vector<Finding>> of_kind;
  std::vector<std::pair<std::string, const char*>> kinds;  // in the order of reports, with the words for many
  size_t readable = 0;
  for (size_t i = 0; i < split.pictures.size(); ++i) {
    if (!split.pictures[i].is_readable()) continue;
    ++readable;
    const std::string source = split.data->source(static_cast<int64_t>(i));
    for (Oddity& oddity : oddities_of(split.pictures[i], source, options)) {
      if (readable == 1) kinds.emplace_back(oddity.kind, oddity.common);
      if (!oddity.detail.empty())
        of_kind[oddity.kind].push_back({oddity.severity, oddity.kind, source, std::move(oddity.detail)});
    }
  }
  for (const auto& [kind, common] : kinds) {
    std::vector<Finding>& found = of_kind[kind];
    const bool is_common =
        found.size() > kCommonCount && static_cast<double>(found.size()) > kCommonShare * static_cast<double>(readable);
    if (is_common)
      findings.push_back(
          {found.front().severity, kind, split.root, vit::str(found.size(), " of ", readable, " pictures ", common)});
    else
      findings.insert(findings.end(), found.begin(), found.end());
  }
}

void check_pictures(const Examination& examination, std::vector<Finding>& findings) {
  for (const ExaminedSplit& split : examination.splits) {
    for (size_t i = 0; i < split.pictures.size(); ++i)
      if (const PictureFacts& facts = split.pictures[i]; !facts.is_readable())
        findings.push_back(
            {Severity::error, facts.problem_kind, split.data->source(static_cast<int64_t>(i)), facts.problem});
    check_readable(split, examination.options, findings);

    // Files that are skipped, by ending.
    std::map<std::string, std::pair<int64_t, std::string>> skipped;
    for (const std::string& file : split.data->skipped()) {
      auto& [count, first] = skipped[std::filesystem::path(file).extension().string()];
      if (count++ == 0) first = file;
    }
    for (const auto& [ending, entry] : skipped)
      findings.push_back({Severity::note, "skipped", entry.second,
                          vit::str(entry.first, entry.first == 1 ? " file" : " files", " with ",
                                   ending.empty() ? "no ending" : "the ending " + ending,
                                   entry.first == 1 ? " is" : " are", " not used")});
  }
}

}  // namespace

VITKIT_REGISTER_DOCTOR_CHECK("pictures", check_pictures);

}  // namespace datasets
