// vitkit classify: what is in these pictures.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "apps/film_clips.h"
#include "apps/frame_pictures.h"
#include "apps/model_facts.h"
#include "apps/output.h"
#include "apps/pictures.h"
#include "apps/predictions.h"
#include "apps/progress.h"
#include "apps/sheet.h"
#include "apps/stop.h"
#include "apps/text_labels.h"
#include "apps/verbs.h"
#include "apps/video_options.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/core/timer.h"
#include "vit/image/encode.h"
#include "vit/media/source.h"
#include "vit/media/video.h"

namespace apps {

namespace {

struct ClassifyOptions {
  std::vector<std::string> sources;
  std::string model;
  int64_t topk = 5;
  int64_t batch_size = 8;
  std::optional<int64_t> img_size;
  std::string precision = "f32";
  std::string labels;
  std::string sheet;
  int64_t max_pixels = vit::DecodeOptions{}.max_pixels;
  VideoChoice video;
};

/// True when the arguments name a picture that the codec module decodes, which takes a moment to load.
bool needs_codecs(const std::vector<std::string>& sources) {
  return std::any_of(sources.begin(), sources.end(), [](const std::string& source) {
    std::string ending = std::filesystem::path(source).extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
    const bool own = ending == ".jpg" || ending == ".jpeg" || ending == ".ppm" || ending == ".pgm" || ending == ".pnm";
    return !own && vit::has_image_extension(source);
  });
}

/// Counts the sources for the progress bar beside the work. Lists may be pipes, which can be read only once, and who
/// knows how many frames a video has: no count then.
void count_sources(const std::vector<std::string>& sources, Progress& progress, vit::TaskGroup& tasks) {
  const bool countable = std::none_of(sources.begin(), sources.end(), [](const std::string& source) {
    return source == "-" || source.starts_with("@") || source.ends_with(".streams") || vit::is_video_source(source);
  });
  if (!progress.enabled() || !countable) return;
  tasks.run([&sources, &progress] {
    vit::ImageSource source(sources);
    vit::SourceItem item;
    int64_t count = 0;
    while (source.next(item)) ++count;
    progress.set_total(count);
  });
}

/// The options of the work: a live source's frame is answered before the next is there, not with a batch of later ones.
PictureOptions picture_options(const ClassifyOptions& options, FramePictures& pictures) {
  PictureOptions result{.batch_size = options.batch_size,
                        .decode = {.max_pixels = options.max_pixels},
                        .load = [&pictures](int64_t number) { return pictures.load(number); }};
  if (pictures.has_live()) result.batch_size = result.window = 1;
  return result;
}

/// What was answered, and how it is told.
class Answers {
 public:
  Answers(const ClassifyOptions& options, const vit::Classifier& classifier, Output& output, AnswerSheet& sheet)
      : options_(options), classifier_(classifier), output_(output), sheet_(sheet) {}

  void add(const PictureAnswer& answer, const PictureOrigin& origin) {
    if (origin.gap) return write_gap(output_, answer.path, *origin.gap);
    const FramePlace* frame = origin.frame ? &*origin.frame : nullptr;
    ++(answer.error.empty() ? answered_ : failed_);
    if (!answer.error.empty()) return write_error(output_, answer.path, frame, answer.error);
    const std::vector<vit::Prediction> predictions = classifier_.top(answer.logits, options_.topk);
    write_predictions(output_, answer.path, frame, predictions);
    if (!frame) sheet_.add(answer.path, predictions.front(), classifier_.labels());
  }

  void add(const PictureAnswer& answer, const std::optional<vit::FilmClip>& clip) {
    ++(answer.error.empty() ? answered_ : failed_);
    if (!answer.error.empty()) return write_error(output_, answer.path, nullptr, answer.error);
    write_film_predictions(output_, answer.path, *clip, classifier_.top(answer.logits, options_.topk));
  }

  int64_t all() const { return answered_ + failed_; }
  int64_t failed() const { return failed_; }

 private:
  const ClassifyOptions& options_;
  const vit::Classifier& classifier_;
  Output& output_;
  AnswerSheet& sheet_;
  int64_t answered_ = 0, failed_ = 0;
};

/// Whole films, for a model of clips.
void answer_films(const ClassifyOptions& options, const vit::Classifier& classifier, const vit::ClipModel& model,
                  vit::FeedOptions feed, Progress& progress, Answers& answers) {
  FilmClips films(clip_feed(options.sources, std::move(feed), model));
  const PictureOptions pictures{
      .batch_size = options.batch_size, .decode = {}, .load = [&films](int64_t number) { return films.load(number); }};
  answer_pictures(
      classifier, [&](vit::SourceItem& item) { return films.next(item); }, pictures,
      [&](const PictureAnswer& answer) {
        progress.advance();
        answers.add(answer, films.take_clip());
      });
}

/// Pictures, and films frame by frame.
void answer_frames(const ClassifyOptions& options, const vit::Classifier& classifier, vit::FeedOptions feed,
                   Progress& progress, Answers& answers) {
  FramePictures pictures(options.sources, std::move(feed), {.max_pixels = options.max_pixels});
  if (pictures.has_live()) stop_on_signals();  // what has no end is ended so, with what was answered
  vit::TaskGroup counting;                     // after what it uses: it is waited for first
  count_sources(options.sources, progress, counting);
  answer_pictures(
      classifier, [&](vit::SourceItem& item) { return pictures.next(item); }, picture_options(options, pictures),
      [&](const PictureAnswer& answer) {
        progress.advance();
        answers.add(answer, pictures.take_origin());
      });
}

int classify(const ClassifyOptions& options, const CommonOptions& common) {
  const std::string model = model_or_bundled("classify", options.model, "cifar10", common);
  require_precision(options.precision);
  if (!options.sheet.empty()) vit::check_image_extension(options.sheet);
  Output output(common);
  AnswerSheet sheet(options.sheet, options.max_pixels);
  vit::TaskGroup background;
  if (needs_codecs(options.sources)) background.run([] { vit::preload_codecs(); });
  const vit::Timer loading;
  vit::ClassifierOptions loaded{.img_size = options.img_size, .seed = common.seed, .topk = options.topk};
  if (!options.labels.empty()) loaded.name_classes = text_classes(split_labels(options.labels));
  const auto classifier = vit::Classifier::load(model, loaded);
  note_model(common, model, classifier, loading.milliseconds());

  vit::FeedOptions feed = feed_options("classify", options.video, options.max_pixels, common);
  feed.stop_requested = stop_requested;
  Progress progress(common, "images", /*prints_results=*/true);
  const vit::Timer working;
  Answers answers(options, classifier, output, sheet);
  if (const auto* clips = dynamic_cast<const vit::ClipModel*>(&classifier.model()))
    answer_films(options, classifier, *clips, std::move(feed), progress, answers);
  else
    answer_frames(options, classifier, std::move(feed), progress, answers);
  output.finish();
  if (sheet.save()) note(common, "{}: {}", options.sheet, sheet.summary());
  clear_progress();
  detail_note(common, "{} images in {:.3f} s: {:.2f} images/s, start-up excluded", answers.all(), working.seconds(),
              static_cast<double>(answers.all()) / working.seconds());
  if (answers.all() == 0 && !stop_requested()) print_error("vitkit classify: there was no picture in the sources");
  if (answers.failed() > 0 && answers.all() > 1)
    note(common, "{} of {} sources failed", answers.failed(), answers.all());
  return answers.failed() > 0 || (answers.all() == 0 && !stop_requested()) ? 1 : 0;
}

}  // namespace

Action add_classify(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<ClassifyOptions>();
  command
      .add_option(
          "SOURCE", options->sources,
          with_example(
              "Picture, folder (recursive), quoted glob, @list.txt, - for paths on stdin, film, camera's number, "
              "rtsp:// or http:// stream, list of streams (.streams)",
              "photo.jpg photos/ 'more/*.png' @list.txt film.mp4 0"))
      ->required();
  add_model_option(command, options->model, ", or a configuration's name for random weights");
  command.add_option("--topk,-k", options->topk, with_example("Answers per picture", "--topk 1"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
  add_batch_size_option(command, options->batch_size);
  add_img_size_option(command, options->img_size);
  add_precision_option(command, options->precision);
  command
      .add_option("--labels", options->labels,
                  with_example("Classes as text, for CLIP models; @FILE: one per line", "--labels \"a cat,a dog\""))
      ->type_name("A,B")
      ->default_str("the model's");
  command
      .add_option(
          "--sheet", options->sheet,
          with_example("Draw the pictures with their answers into one PNG or JPEG; those in a folder named as a "
                       "class are marked right or wrong",
                       "--sheet answers.png"))
      ->type_name("FILE")
      ->default_str("none");
  add_max_pixels_option(command, options->max_pixels);
  add_video_options(command, options->video);
  command.footer(
      "EXAMPLES\n"
      "  vitkit classify photo.jpg   (the bundled model)\n"
      "  vitkit classify --model path/to/checkpoint photo.jpg\n"
      "  vitkit classify --model path/to/checkpoint --format json photos/ > out.jsonl\n"
      "  vitkit classify --format json --vid-stride 25 film.mp4   (adds \"frame\" and \"time_s\")\n"
      "  find . -name '*.jpg' | vitkit classify --model path/to/checkpoint --topk 1 -\n"
      "  vitkit classify --model path/to/clip --labels \"a photo of a cat,a photo of a dog\" photo.jpg\n"
      "  vitkit classify --model path/to/timesformer film.mp4   (one answer for the whole film)\n"
      "  vitkit classify --model vit_base_patch16_224 -v photo.jpg   (random weights)");
  return [options, &common] { return classify(*options, common); };
}

}  // namespace apps
