#include "apps/caption_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "apps/caption_records.h"
#include "apps/output.h"
#include "captioning/word_sheet.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/image/encode.h"

namespace apps {

namespace fs = std::filesystem;

namespace {

/// "00:01:02,345"
std::string clock_text(double seconds) {
  const auto all = static_cast<int64_t>(std::llround(1000.0 * std::max(0.0, seconds)));
  return fmt::format("{:02}:{:02}:{:02},{:03}", all / 3'600'000, all / 60'000 % 60, all / 1000 % 60, all % 1000);
}

/// What a sheet shows, in numbers.
Record sheet_record(const CaptionedItem& one, const std::vector<captioning::WordMap>& words,
                    const captioning::WordSheet& sheet, const std::string& file) {
  const vit::Image& picture = one.item.event.image;
  Record record = caption_record(one);
  record["width"] = picture.width();
  record["height"] = picture.height();
  record["sheet"] = file;
  record["picture_box"] = sheet.boxes.front();
  Record list = Record::array();
  for (size_t i = 0; i < words.size(); ++i) {
    const captioning::WordMap& word = words[i];
    const int64_t rows = word.cells.size(0), columns = word.cells.size(1);
    // Which part of the picture the grid lies on: x0, y0, x1, y1 in its pixels.
    const double per_x = static_cast<double>(picture.width()) / word.window.columns;
    const double per_y = static_cast<double>(picture.height()) / word.window.rows;
    const double left = -word.window.left * per_x, top = -word.window.top * per_y;
    list.push_back(
        {{"word", word.word},
         {"ids", word.ids},
         {"grid", {rows, columns}},
         {"area", {left, top, left + static_cast<double>(columns) * per_x, top + static_cast<double>(rows) * per_y}},
         {"values", std::vector<float>(word.cells.f32(), word.cells.f32() + word.cells.numel())},
         {"box", sheet.boxes[i + 1]}});
  }
  record["words"] = std::move(list);
  return record;
}

/// A blank line would end a subtitle.
std::string on_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

}  // namespace

std::string subrip(const std::vector<Subtitle>& captions, double end_s) {
  std::string text;
  int64_t number = 0;
  for (size_t i = 0; i < captions.size();) {
    size_t next = i + 1;
    while (next < captions.size() && captions[next].text == captions[i].text) ++next;
    const double until = next < captions.size() ? captions[next].from_s : std::max(end_s, captions[next - 1].from_s);
    text += fmt::format("{}\n{} --> {}\n{}\n\n", ++number, clock_text(captions[i].from_s), clock_text(until),
                        captions[i].text);
    i = next;
  }
  return text;
}

CaptionFiles::CaptionFiles(CaptionFileOptions options, const captioning::Captioner& captioner,
                           std::function<void(const std::string&)> failed)
    : options_(std::move(options)), captioner_(captioner), failed_(std::move(failed)) {
  if (!options_.attention.empty()) make_folder(options_.attention);
  if (options_.srt.empty()) return;
  if (wants_one_file())
    static_cast<void>(open_result_file("--srt", options_.srt));  // and forgotten: it is written when the film has ended
  else
    make_folder(options_.srt);
}

bool CaptionFiles::wants_one_file() const { return fs::path(options_.srt).extension() == ".srt"; }

CaptionFiles::Film& CaptionFiles::film_of(const vit::FeedItem& item) {
  Film& film = films_[item.stream];
  if (film.name.empty()) {
    film.source = item.source;
    film.name = names_.take(item.source);
  }
  return film;
}

void CaptionFiles::add(const CaptionedItem& one) {
  if (one.captions.empty()) return;
  const bool picture = one.item.picture();
  if (!picture && !options_.srt.empty())
    film_of(one.item).captions.push_back({one.item.event.time_s, on_one_line(one.captions.front().text)});
  if (options_.attention.empty()) return;
  const std::string name =
      picture ? names_.take(one.item.source) : fmt::format("{}_{:06}", film_of(one.item).name, one.item.event.number);
  try {
    write_sheet(one, name);
  } catch (const vit::Error& error) {
    failed_(one.item.source + ": " + error.what());
  }
}

void CaptionFiles::write_sheet(const CaptionedItem& one, const std::string& name) {
  const captioning::Caption& caption = one.captions.front();
  const std::vector<captioning::WordMap> words =
      captioning::word_maps(captioner_, one.item.event.image, caption, options_.looks);
  const captioning::WordSheet sheet = captioning::draw_word_sheet(one.item.event.image, words, caption.text);
  const fs::path folder(options_.attention);
  vit::save_image(folder / (name + ".png"), sheet.image);
  vit::write_file_atomically(folder / (name + ".json"),
                             json_line(sheet_record(one, words, sheet, name + ".png")) + "\n");
}

void CaptionFiles::end(const vit::FeedItem& item) {
  const auto film = films_.find(item.stream);
  if (film == films_.end()) return;
  write_subtitles(film->second, item.event.time_s);
  films_.erase(film);
}

void CaptionFiles::finish() {
  for (const auto& [stream, film] : films_) write_subtitles(film, 0.0);
  films_.clear();
}

void CaptionFiles::write_subtitles(const Film& film, double end_s) {
  if (film.captions.empty()) return;
  const std::string text = subrip(film.captions, std::max(end_s, film.captions.back().from_s + options_.last_s));
  try {
    if (!wants_one_file()) return vit::write_file_atomically(fs::path(options_.srt) / (film.name + ".srt"), text);
    if (!written_to_one_.empty())
      vit::fail(options_.srt, ": it has the captions of ", written_to_one_, "; those of ", film.source,
                " are not written: name a folder where there are several films");
    vit::write_file_atomically(options_.srt, text);
    written_to_one_ = film.source;
  } catch (const vit::Error& error) {
    failed_(error.what());
  }
}

}  // namespace apps
