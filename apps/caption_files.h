// What `vitkit caption` leaves in files: a sheet of words per picture with its numbers, and subtitles per film.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/caption_batch.h"
#include "apps/saved_names.h"
#include "captioning/word_maps.h"

namespace apps {

struct Subtitle {
  double from_s = 0.0;
  std::string text;
};

/// SubRip text: each caption until the next one, the last until `end_s`; one that says the same goes on. Captions are
/// in the order of their times.
std::string subrip(const std::vector<Subtitle>& captions, double end_s);

struct CaptionFileOptions {
  std::string attention{};  ///< --attention: NAME.png and NAME.json per picture (NAME_000012 per frame); empty: none
  captioning::WordMapOptions looks{};
  /// --srt: FILE.srt for one film, else a folder for NAME.srt of every film; empty: none.
  std::string srt{};
  double last_s = 2.0;  ///< how long a film's last caption stands where the film goes on
};

class CaptionFiles {
 public:
  /// Makes the folders. `failed` is told of files that cannot be made; the others are. Errors (usage): a folder cannot
  /// be made, or written to.
  CaptionFiles(CaptionFileOptions options, const captioning::Captioner& captioner,
               std::function<void(const std::string& message)> failed);

  /// A picture or frame with its captions, in order.
  void add(const CaptionedItem& one);
  /// The end of a video.
  void end(const vit::FeedItem& item);
  /// What has not ended.
  void finish();

 private:
  struct Film {
    std::string source, name;
    std::vector<Subtitle> captions;
  };
  void write_sheet(const CaptionedItem& one, const std::string& name);
  void write_subtitles(const Film& film, double end_s);
  Film& film_of(const vit::FeedItem& item);
  bool wants_one_file() const;

  CaptionFileOptions options_;
  const captioning::Captioner& captioner_;
  std::function<void(const std::string&)> failed_;
  SavedNames names_;
  std::map<int64_t, Film> films_;  // by stream
  std::string written_to_one_;     // the film whose subtitles have the one file
};

}  // namespace apps
