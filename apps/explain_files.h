// What `vitkit explain --save` leaves in its folder: maps, overlays, sheets of attention, films, a report to move
// through.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/explained.h"
#include "apps/saved_names.h"
#include "vit/explain/faithfulness.h"
#include "vit/explain/html_report.h"
#include "vit/explain/method.h"
#include "vit/explain/overlay_film.h"
#include "vit/media/frame_feed.h"

namespace apps {

/// One map, ready to be written.
struct ExplainedMap {
  std::string method{};
  const ExplainedAnswer* answer = nullptr;
  vit::Explanation explanation{};
  std::optional<vit::Faithfulness> faithfulness{};
  double seconds = 0.0;
  std::string npy{};         ///< where the map is; empty: nowhere
  vit::CellWindow window{};  ///< of the picture on the map
};

/// What belongs to one picture or frame.
struct ExplainedPicture {
  const vit::FeedItem& item;
  const vit::Image& picture;
  const vit::Tensor& pixels;
  const std::vector<ExplainedAnswer>& answers;
};

struct ExplainFileOptions {
  std::string folder{};  ///< --save; empty: nothing is written
  int64_t report_mb = 25;
  int64_t stride = 1;   ///< of the frames of films: their film of overlays lasts as long
  std::string title{};  ///< of the report: the model
};

/// Per picture NAME: NAME_METHOD.npy (the map on its own grid), NAME_METHOD.png (overlay), NAME_METHOD_map.png (grey),
/// with several answers NAME_METHOD_2 and so on; NAME_heads.png, all layers and heads. Per film: NAME_METHOD.mp4; where
/// the model sees it as a whole it is one picture, with NAME_METHOD_frames.png: its frames and what each is worth. For
/// all pictures: report.html.
class ExplainFiles {
 public:
  /// Makes the folder. `failed` is told of files that cannot be made; the others are. Errors (usage): the folder cannot
  /// be made.
  ExplainFiles(ExplainFileOptions options, const ExplainedAnswers& model,
               std::function<void(const std::string& message)> failed);

  bool enabled() const { return !options_.folder.empty(); }
  /// Writes the maps of a picture or frame, and says where (ExplainedMap::npy).
  void add(const ExplainedPicture& explained, std::vector<ExplainedMap>& maps);
  /// The end of a film.
  void end(const vit::FeedItem& item);
  /// Films that have not ended, and the report.
  void finish();

 private:
  void write_map(const ExplainedPicture& explained, ExplainedMap& map, const std::filesystem::path& stem);
  /// Of a clip: NAME_METHOD_frames.png.
  void write_frames(const ExplainedPicture& explained, const ExplainedMap& map, const std::filesystem::path& stem);
  /// A frame in which nothing was found keeps its time in the films that have begun.
  void add_bare_frame(const ExplainedPicture& explained);
  const std::string& film_name(const vit::FeedItem& item);
  void add_to_film(const ExplainedPicture& explained, const ExplainedMap& map, int64_t number);
  /// The sheet of all heads, as a file; the picture and its attention, for the report.
  vit::ReportPicture write_attention(const ExplainedPicture& explained, const std::string& name);
  vit::ReportOptions report_options() const { return {.max_bytes = options_.report_mb * 1'000'000}; }
  bool attempt(const std::function<void()>& work);

  ExplainFileOptions options_;
  const ExplainedAnswers& model_;
  std::function<void(const std::string&)> failed_;
  SavedNames names_;
  vit::Report report_;
  std::map<int64_t, std::string> film_names_;                                           // by stream
  std::map<std::pair<int64_t, std::string>, std::unique_ptr<vit::OverlayFilm>> films_;  // by stream and file
};

}  // namespace apps
