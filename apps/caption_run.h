// One run of `vitkit caption`: from its sources to everything that is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/generation_options.h"
#include "apps/video_options.h"
#include "vit/image/decode.h"

namespace apps {

struct CommonOptions;

struct CaptionOptions {
  std::vector<std::string> sources;
  std::string model;
  std::string prompt;
  GenerationChoice generation;
  std::string every = "2s";  ///< of films and streams: as parse_seconds; 0: every frame
  std::string srt;           ///< see CaptionFileOptions
  std::string attention;     ///< folder; empty: none
  std::optional<int64_t> attention_layer, attention_head;
  VideoChoice video;
  int64_t batch_size = 8;
  int64_t max_pixels = vit::DecodeOptions{}.max_pixels;
};

/// "2s", "500ms", "1.5", "1m" -> seconds. Errors (usage), naming `option`: no such thing, negative, above a day.
double parse_seconds(const std::string& option, const std::string& text);

/// The verb's work -> exit status. Errors: vit::Error; ClosedPipe.
int caption(const CaptionOptions& options, const CommonOptions& common);

}  // namespace apps
