// vitkit evaluate: BLEU, ROUGE-L and CIDEr of a captioner, or of captions in a file.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "apps/caption_batch.h"
#include "apps/evaluate_options.h"
#include "apps/model_facts.h"
#include "apps/output.h"
#include "apps/plural.h"
#include "apps/progress.h"
#include "apps/report.h"
#include "captioning/caption_metrics.h"
#include "captioning/captioner.h"
#include "datasets/caption_dataset.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/parallel.h"
#include "vit/core/timer.h"
#include "vit/io/json_stream.h"

namespace apps {

namespace {

/// What is counted: the captions of some pictures beside what people wrote.
struct CaptionEvaluation {
  std::string source_key, source, data;  ///< "model" or "captions", and what was given
  std::vector<int64_t> pictures{};       ///< in the data set
  std::vector<std::string> captions{};   ///< of these
  std::vector<Unreadable> unreadable{};
  double seconds = 0.0;
};

Record summary_of(const CaptionEvaluation& evaluation, const captioning::CaptionMetrics& metrics) {
  Record record = {{evaluation.source_key, evaluation.source},
                   {"data", evaluation.data},
                   {"images", evaluation.pictures.size()},
                   {"errors", evaluation.unreadable.size()}};
  for (const auto& [name, value] : metrics.corpus.figures()) record[name] = value;
  if (evaluation.seconds > 0.0)
    record["images_per_s"] = static_cast<double>(evaluation.pictures.size()) / evaluation.seconds;
  return record;
}

std::string text_of(const CaptionEvaluation& evaluation, const captioning::CaptionScores& scores) {
  std::string text =
      fmt::format("{}: {}\n", evaluation.data, counted(static_cast<int64_t>(evaluation.pictures.size()), "picture"));
  return text +
         fmt::format(
             "BLEU-1 {:.2f} %  BLEU-2 {:.2f} %  BLEU-3 {:.2f} %  BLEU-4 {:.2f} %  ROUGE-L {:.2f} %  CIDEr {:.4f}\n",
             100.0 * scores.bleu1, 100.0 * scores.bleu2, 100.0 * scores.bleu3, 100.0 * scores.bleu4,
             100.0 * scores.rouge_l, scores.cider);
}

/// report.json: the summary; captions.json: a list as COCO's results have it, with everything that was counted.
void save(const CaptionEvaluation& evaluation, const captioning::CaptionMetrics& metrics,
          const datasets::CaptionDataset& data, const std::filesystem::path& folder) {
  Record report = summary_of(evaluation, metrics);
  report["unreadable"] = unreadable_records(evaluation.unreadable);
  vit::write_file_atomically(folder / "report.json",
                             report.dump(2, ' ', false, Record::error_handler_t::replace) + "\n");
  vit::write_file_atomically(folder / "captions.json", [&](vit::AtomicFile& file) {
    const char* separator = "[\n";
    for (size_t i = 0; i < evaluation.pictures.size(); ++i) {
      const int64_t index = evaluation.pictures[i];
      Record row = {{"image_id", data.image_id(index)},
                    {"caption", evaluation.captions[i]},
                    {"source", data.source(index)},
                    {"references", data.captions(index)}};
      for (const auto& [name, value] : metrics.images[i].figures()) row[name] = value;
      file.write(separator + json_line(row));
      separator = ",\n";
    }
    file.write("\n]\n");
  });
}

int finish(const CaptionEvaluation& evaluation, const datasets::CaptionDataset& data, const EvaluateOptions& options,
           const CommonOptions& common, Output& output) {
  if (evaluation.pictures.empty()) vit::fail(evaluation.data, ": not one of its pictures could be captioned");
  std::vector<std::vector<std::string>> references(evaluation.pictures.size());
  vit::parallel_try(static_cast<int64_t>(references.size()), [&](int64_t i) {
    references[static_cast<size_t>(i)] = data.captions(evaluation.pictures[static_cast<size_t>(i)]);
  });
  const captioning::CaptionMetrics metrics = captioning::caption_metrics(evaluation.captions, references);
  output.write(summary_of(evaluation, metrics), text_of(evaluation, metrics.corpus));
  output.finish();  // what was found out is there, whatever becomes of the files
  if (!options.save.empty()) {
    save(evaluation, metrics, data, options.save);
    note(common, "report and captions are in {}", options.save);
  }
  return evaluation.unreadable.empty() ? 0 : 1;
}

std::shared_ptr<const datasets::CaptionDataset> open_captions(const EvaluateOptions& options,
                                                              const CommonOptions& common, std::string& name) {
  EvaluationDataOptions wanted = options.data;
  wanted.data = datasets::caption_spec(wanted.data);
  const EvaluationData data = open_evaluation_data(wanted, options.model, EvaluatedLabels::captions, common);
  name = data.name;
  auto captions = datasets::require_captions(data.data, data.name);
  if (!captions->bad_captions().empty())
    note(common, "warning: {}: {} cannot be used (vitkit doctor lists them)", data.name,
         counted(static_cast<int64_t>(captions->bad_captions().size()), "caption or picture", "captions or pictures"));
  return captions;
}

/// Pictures [first, first + count) of the data, read or with the reason why they cannot be.
std::vector<CaptionedItem> read(const datasets::CaptionDataset& data, int64_t first, int64_t count) {
  std::vector<CaptionedItem> items(static_cast<size_t>(count));
  vit::parallel_try(count, [&](int64_t i) {
    CaptionedItem& one = items[static_cast<size_t>(i)];
    one.item.source = data.source(first + i);
    one.item.event.kind = vit::VideoEvent::Kind::frame;
    try {
      one.item.event.image = data.load(first + i);
    } catch (const vit::Error& error) {
      one.error = error.what();
    }
  });
  return items;
}

void caption_all(const captioning::Captioner& captioner, const datasets::CaptionDataset& data,
                 const EvaluateOptions& options, const CommonOptions& common, CaptionEvaluation& evaluation) {
  Progress progress(common, "images", /*prints_results=*/false, data.size());
  const CaptionBatchOptions batch{.generation =
                                      chosen_generation(captioner.generation(), options.generation, common.seed)};
  const vit::Timer timer;
  for (int64_t first = 0; first < data.size(); first += options.batch_size) {
    std::vector<CaptionedItem> items = read(data, first, std::min(options.batch_size, data.size() - first));
    caption_pictures(captioner, batch, items);
    for (size_t i = 0; i < items.size(); ++i) {
      if (items[i].error.empty()) {
        evaluation.pictures.push_back(first + static_cast<int64_t>(i));
        evaluation.captions.push_back(std::move(items[i].captions.front().text));
      } else {
        print_error(fmt::format("{}: {}", items[i].item.source, items[i].error));
        evaluation.unreadable.push_back({items[i].item.source, items[i].error});
      }
    }
    progress.advance(static_cast<int64_t>(items.size()));
  }
  evaluation.seconds = timer.seconds();
}

/// Bytes of a caption: more is none.
constexpr size_t kLongestCaption = 16 << 10;

/// COCO's results: a list of {"image_id", "caption"}. Errors (usage), naming the entry: something else; a picture
/// twice.
std::map<int64_t, std::string> read_results(const std::string& path) {
  std::map<int64_t, std::string> captions;
  vit::stream_json(path, {}, [&](const std::string& list, int64_t position, const nlohmann::json& entry) {
    const auto image = entry.find("image_id"), caption = entry.find("caption");
    if (!list.empty() || image == entry.end() || !image->is_number_integer() || caption == entry.end() ||
        !caption->is_string())
      vit::fail_usage(path, ": [", position, "]: expected an image_id (a whole number) and a caption (text)");
    if (caption->get_ref<const std::string&>().size() > kLongestCaption)
      vit::fail_usage(path, ": [", position, "]: a caption of more than ", kLongestCaption, " bytes");
    if (!captions.emplace(image->get<int64_t>(), caption->get<std::string>()).second)
      vit::fail_usage(path, ": [", position, "]: the picture ", image->get<int64_t>(), " has a caption already");
  });
  return captions;
}

}  // namespace

int evaluate_captioner(const EvaluateOptions& options, const CommonOptions& common) {
  CaptionEvaluation evaluation{.source_key = "model", .source = options.model, .data = {}};
  const auto data = open_captions(options, common, evaluation.data);
  Output output(common);
  if (!options.save.empty()) prepare_save_folder(options.save);
  const vit::Timer loading;
  const auto captioner = captioning::Captioner::load(options.model);
  captioning::check_generation(captioner.model(), {},
                               chosen_generation(captioner.generation(), options.generation, common.seed));
  note_model(common, options.model, captioner, loading.milliseconds());
  caption_all(captioner, *data, options, common, evaluation);
  return finish(evaluation, *data, options, common, output);
}

int evaluate_captions(const EvaluateOptions& options, const CommonOptions& common) {
  CaptionEvaluation evaluation{.source_key = "captions", .source = options.captions, .data = {}};
  std::map<int64_t, std::string> captions = read_results(options.captions);
  const auto data = open_captions(options, common, evaluation.data);
  Output output(common);
  if (!options.save.empty()) prepare_save_folder(options.save);
  int64_t without = 0;
  for (int64_t i = 0; i < data->size(); ++i) {
    const auto found = captions.find(data->image_id(i));
    if (found == captions.end()) {
      ++without;
      continue;
    }
    evaluation.pictures.push_back(i);
    evaluation.captions.push_back(std::move(found->second));
    captions.erase(found);
  }
  if (without > 0)
    note(common, "warning: {} of the data {} no caption in {} and {} not count", without, without == 1 ? "has" : "have",
         options.captions, without == 1 ? "does" : "do");
  if (!captions.empty())
    note(common, "warning: {}: {} not the data's, beginning with {}", options.captions,
         counted(static_cast<int64_t>(captions.size()), "picture is", "pictures are"), captions.begin()->first);
  return finish(evaluation, *data, options, common, output);
}

}  // namespace apps
