// One run of `vitkit detect`: from its sources to everything that is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/video_options.h"
#include "vit/image/decode.h"

namespace vit {
class ClassLabels;
}

namespace apps {

struct CommonOptions;

struct DetectOptions {
  std::vector<std::string> sources;
  std::string model;
  double conf = 0.5;
  std::string classes;  ///< names or numbers, separated by commas; empty: all
  int64_t max_det = 0;  ///< 0: all
  bool track = false;
  std::string tracker;    ///< empty: bytetrack
  std::string save;       ///< folder; empty: nothing is saved
  std::string save_json;  ///< file; empty: none
  bool save_txt = false, save_crop = false, save_frames = false;
  bool show = false;
  std::string attention;  ///< folder; empty: none
  std::optional<int64_t> attention_layer, attention_head;
  VideoChoice video;
  int64_t batch_size = 1;
  std::optional<int64_t> img_size;
  std::string precision = "f32";
  int64_t max_pixels = vit::DecodeOptions{}.max_pixels;
};

/// The numbers of classes that an option names, separated by commas. Errors (usage), naming the option: a name that the
/// model does not know, with the nearest.
std::vector<int64_t> chosen_classes(const std::string& option, const std::string& names,
                                    const vit::ClassLabels& labels);

/// The verb's work -> exit status. Errors: vit::Error; ClosedPipe, with all files finished.
int detect(const DetectOptions& options, const CommonOptions& common);

}  // namespace apps
