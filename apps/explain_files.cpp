#include "apps/explain_files.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "apps/attention_pages.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/explain/attention_sheet.h"
#include "vit/explain/frames.h"
#include "vit/image/cell_map.h"
#include "vit/image/encode.h"
#include "vit/image/grey_png.h"
#include "vit/io/npy.h"

namespace apps {

namespace fs = std::filesystem;

namespace {

vit::Extent extent_of(const vit::Image& picture) { return {picture.height(), picture.width()}; }

/// The part of a map that the picture covers.
vit::CellWindow window_of(const ExplainedAnswers& model, const vit::Image& picture, const vit::Tensor& map) {
  return vit::cell_window(model.preprocessor(), extent_of(picture), {map.size(0), map.size(1)});
}

std::string answer_text(const ExplainedAnswer& answer) {
  return fmt::format("{} {:.1f} %", answer.label, 100.0 * answer.score);
}

/// How far to believe a map, in lines below it.
std::vector<std::string> trust_lines(const ExplainedMap& map) {
  std::vector<std::string> lines;
  if (!map.explanation.layer.empty()) lines.push_back("of " + map.explanation.layer);
  if (map.faithfulness) {
    const vit::Faithfulness& figures = *map.faithfulness;
    lines.push_back(
        fmt::format("deletion {:.3f} (low is good), insertion {:.3f} (high is good), ROAD {:.3f} (high is good)",
                    figures.deletion.auc, figures.insertion.auc, figures.road.combined));
    if (figures.sanity) lines.push_back(figures.sanity->verdict);
  }
  for (const std::string& note : map.explanation.notes) lines.push_back(note);
  return lines;
}

std::vector<vit::ReportFigure> report_figures(const ExplainedMap& map) {
  if (!map.faithfulness) return {};
  const vit::Faithfulness& figures = *map.faithfulness;
  std::vector<vit::ReportFigure> all = {
      {"deletion AUC", figures.deletion.auc, "", vit::FigureGoal::low,
       "mean score while the map's pixels are taken away, strongest first"},
      {"insertion AUC", figures.insertion.auc, "", vit::FigureGoal::high,
       "mean score while they are put into a blurred picture, strongest first"},
      {"ROAD", figures.road.combined, "", vit::FigureGoal::high,
       "how much more the strongest pixels matter than the weakest, when their places are filled in"}};
  if (figures.sanity)
    all.push_back({"random weights",
                   {},
                   figures.sanity->verdict,
                   vit::FigureGoal::none,
                   "whether the map changes when the model forgets all that it learnt"});
  return all;
}

std::string joined_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace

ExplainFiles::ExplainFiles(ExplainFileOptions options, const ExplainedAnswers& model,
                           std::function<void(const std::string& message)> failed)
    : options_(std::move(options)), model_(model), failed_(std::move(failed)) {
  report_.title = "vitkit explain";
  report_.lines = {options_.title};
  if (enabled()) make_folder(options_.folder);
}

bool ExplainFiles::attempt(const std::function<void()>& work) { return attempted(work, failed_); }

void ExplainFiles::write_map(const ExplainedPicture& explained, ExplainedMap& map, const fs::path& stem) {
  const vit::Tensor& cells = map.explanation.map;
  const vit::CellWindow& window = map.window;
  const std::string path = stem.string() + ".npy";
  if (attempt([&] { vit::write_npy(path, cells); })) map.npy = path;
  attempt([&] {
    vit::save_image(stem.string() + ".png", vit::draw_overlay(explained.picture, cells, window,
                                                              {.title = vit::method_registry().find(map.method).title +
                                                                        ": " + answer_text(*map.answer),
                                                               .lines = trust_lines(map),
                                                               .is_signed = map.explanation.is_signed,
                                                               .with_picture = true}));
  });
  attempt([&] {
    const vit::Tensor on_picture = vit::cells_on_picture(cells, window, extent_of(explained.picture));
    const vit::MapScale scale = vit::scale_of(cells, map.explanation.is_signed);
    vit::write_file_atomically(stem.string() + "_map.png", vit::encode_grey_png(on_picture, {scale.min, scale.max}));
  });
}

void ExplainFiles::write_frames(const ExplainedPicture& explained, const ExplainedMap& map, const fs::path& stem) {
  const int64_t frames = vit::frames_of(*map.answer->subject);
  if (frames == 0) return;
  attempt([&] {
    const vit::FrameImportance importance{vit::frame_shares(map.explanation.map, frames), map.explanation};
    vit::save_image(
        stem.string() + "_frames.png",
        vit::draw_film_strip(explained.picture, importance,
                             {.title = vit::method_registry().find(map.method).title + ": " + answer_text(*map.answer),
                              .lines = trust_lines(map)}));
  });
}

const std::string& ExplainFiles::film_name(const vit::FeedItem& item) {
  std::string& name = film_names_[item.stream];
  if (name.empty()) name = names_.take(item.source);
  return name;
}

void ExplainFiles::add_to_film(const ExplainedPicture& explained, const ExplainedMap& map, int64_t number) {
  const std::string& name = film_name(explained.item);
  const std::string file = fmt::format("{}_{}{}.mp4", name, map.method, number > 1 ? "_" + std::to_string(number) : "");
  auto& film = films_[{explained.item.stream, file}];
  if (!film) {
    const double rate = (explained.item.info.frame_rate > 0.0 ? explained.item.info.frame_rate : 25.0) /
                        static_cast<double>(options_.stride);
    film = std::make_unique<vit::OverlayFilm>((fs::path(options_.folder) / file).string(),
                                              vit::VideoWriterOptions{.frame_rate = rate});
  }
  attempt([&] {
    film->add(explained.picture, map.explanation.map, map.window,
              {.title = vit::method_registry().find(map.method).title + ": " + answer_text(*map.answer),
               .is_signed = map.explanation.is_signed});
  });
}

void ExplainFiles::add_bare_frame(const ExplainedPicture& explained) {
  for (auto& [key, film] : films_)
    if (key.first == explained.item.stream)
      attempt([&, open = film.get()] {
        open->add(explained.picture, vit::Tensor::zeros({1, 1}), {}, {.title = model_.nothing_found(), .opacity = 0.0});
      });
}

vit::ReportPicture ExplainFiles::write_attention(const ExplainedPicture& explained, const std::string& name) {
  vit::ReportPicture page{.name = explained.item.source, .picture = explained.picture};
  if (explained.answers.empty()) return page;
  const ExplainedAnswer& answer = explained.answers.front();
  const vit::Extent source = extent_of(explained.picture);
  for (const ExplainedAnswer& each : explained.answers) page.lines.push_back(answer_text(each));
  attempt([&] {
    const std::vector<std::string> queries = model_.query_names(explained.answers);
    const std::vector<vit::RecordedAttention> layers = record_attention(*answer.subject, explained.pixels);
    page.layers = report_layers(*answer.subject, layers, queries, model_.preprocessor(), source);
    for (vit::ReportLayer& points :
         point_layers(*answer.subject, explained.pixels, queries, model_.preprocessor(), source))
      page.layers.push_back(std::move(points));
    if (layers.empty()) return;
    vit::save_image(
        fs::path(options_.folder) / (name + "_heads.png"),
        vit::draw_attention_sheet(
            explained.picture, sheet_layers(*answer.subject, layers, model_.preprocessor(), source),
            {.title = options_.title + ": " + answer_text(answer), .query = "what the answer is read from"}));
  });
  return page;
}

void ExplainFiles::add(const ExplainedPicture& explained, std::vector<ExplainedMap>& maps) {
  for (ExplainedMap& map : maps) map.window = window_of(model_, explained.picture, map.explanation.map);
  if (!enabled()) return;
  const bool is_frame = !explained.item.picture();
  const std::string name = is_frame ? "" : names_.take(explained.item.source);
  vit::ReportPicture page;
  if (!is_frame) page = write_attention(explained, name);
  if (is_frame && maps.empty()) add_bare_frame(explained);
  std::map<std::string, int64_t> numbers;
  for (ExplainedMap& map : maps) {
    const int64_t number = ++numbers[map.method];
    if (is_frame) {
      add_to_film(explained, map, number);
      continue;
    }
    const std::string suffix = number > 1 ? "_" + std::to_string(number) : "";
    const fs::path stem = fs::path(options_.folder) / (name + "_" + as_file_name(map.method, "map") + suffix);
    write_map(explained, map, stem);
    write_frames(explained, map, stem);
    page.maps.push_back({.name = vit::method_registry().find(map.method).title,
                         .subject = answer_text(*map.answer),
                         .map = map.explanation.map,
                         .window = map.window,
                         .is_signed = map.explanation.is_signed,
                         .figures = report_figures(map),
                         .note = joined_lines(map.explanation.notes)});
  }
  if (!is_frame) attempt([&] { vit::add_to_report(report_, std::move(page), report_options()); });
}

void ExplainFiles::end(const vit::FeedItem& item) {
  for (auto film = films_.begin(); film != films_.end();) {
    if (film->first.first != item.stream) {
      ++film;
      continue;
    }
    attempt([&] { film->second->finish(); });
    film = films_.erase(film);
  }
}

void ExplainFiles::finish() {
  for (auto& [name, film] : films_) attempt([&, open = film.get()] { open->finish(); });
  films_.clear();
  if (!enabled() || report_.pictures.empty()) return;
  attempt([&] { vit::write_html_report(fs::path(options_.folder) / "report.html", report_, report_options()); });
}

}  // namespace apps
