// The doctor: examines a data set before somebody trains on it. Every picture is decoded once; checks then look at what
// was learned. A check is one file that ends with VITKIT_REGISTER_DOCTOR_CHECK: kinds of data sets with more to examine
// (boxes, captions) bring their own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/hash.h"
#include "datasets/picture_hash.h"
#include "vit/core/registry.h"
#include "vit/image/header.h"

namespace datasets {

enum class Severity : uint8_t {
  error,    ///< training or its figures would be wrong
  warning,  ///< probably not meant
  note,     ///< worth knowing
};
/// "error", "warning", "note"
const char* name_of(Severity severity);

struct Finding {
  Severity severity = Severity::note;
  std::string kind;    ///< one word: "unreadable", "duplicate", "leak", ...
  std::string source;  ///< the picture, file or split
  std::string detail;
};

struct DoctorOptions {
  int64_t min_side = 16;              ///< pictures with a shorter side are tiny
  int64_t large_pixels = 25'000'000;  ///< pictures with more pixels are large: decoding them costs most of a step
  int64_t max_pixels = 100'000'000;   ///< pictures with more pixels are not read, as in training
  double max_imbalance = 10.0;        ///< pictures (or boxes) of the largest class for one of the smallest
  std::string class_map{};            ///< as OpenOptions
};

/// What is learned of a picture.
struct PictureFacts {
  std::string problem_kind, problem;  ///< why it cannot be read: "unreadable", "truncated", "huge"; empty when it can
  int64_t height = 0, width = 0;      ///< upright
  vit::ImageFormat format = vit::ImageFormat::kUnknown;  ///< unknown where the data set stores bare pixels
  int orientation = 1;                                   ///< EXIF's
  bool has_alpha = false;
  bool is_grey = false;   ///< all channels are equal everywhere
  bool is_blank = false;  ///< all pixels are equal
  Hash128 pixels;
  Look look;
  bool is_readable() const { return problem_kind.empty(); }
};

struct ExaminedSplit {
  std::string name;  ///< empty where the data set has no splits
  std::string root;  ///< what was opened
  std::shared_ptr<const Dataset> data;
  std::vector<PictureFacts> pictures;
  /// "train", or the root where there are no splits: for messages.
  const std::string& title() const { return name.empty() ? root : name; }
};

struct Examination {
  std::string format;
  std::vector<ExaminedSplit> splits;  ///< training first
  DoctorOptions options;
};

/// Decodes every picture of the wanted split, or of all splits where `split` is empty. `advance` is called on the
/// calling thread with the number of pictures done since; `begin`, before any, with the number of all.
/// Errors (usage): as open_dataset. What a picture has is in its facts, and the same whatever the number of threads.
Examination examine(const std::string& spec, const std::string& split, const DoctorOptions& options,
                    const std::function<void(int64_t)>& begin = {}, const std::function<void(int64_t)>& advance = {});

/// What all checks find, errors first, otherwise by check and then as the check reports.
std::vector<Finding> diagnose(const Examination& examination);

/// Facts of a picture, from its file's bytes (or, where there are none, its pixels). Never throws but for memory.
PictureFacts examine_picture(const Dataset& data, int64_t index, const DoctorOptions& options);

/// A check appends its findings, in an order of its own that depends on the examination only.
using DoctorCheck = std::function<void(const Examination&, std::vector<Finding>&)>;
vit::Registry<DoctorCheck>& doctor_checks();

}  // namespace datasets

/// At the end of a check's file.
#define VITKIT_REGISTER_DOCTOR_CHECK(name, check) \
  [[maybe_unused]] static const bool vitkit_doctor_check_registered = ::datasets::doctor_checks().add(name, check)
