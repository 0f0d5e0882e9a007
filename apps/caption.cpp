// vitkit caption: say what pictures, films and streams show.
#include <memory>

#include "apps/caption_run.h"
#include "apps/look_options.h"
#include "apps/verbs.h"

namespace apps {

namespace {

void add_film_options(CLI::App& command, CaptionOptions& options) {
  command
      .add_option("--every", options.every,
                  with_example("A caption for every so much time; 0: for every frame", "--every 500ms"))
      ->type_name("TIME")
      ->capture_default_str()
      ->group(kVideoGroup);
  command
      .add_option(
          "--srt", options.srt,
          with_example("Subtitles: FILE.srt for one film, else a folder with one file per film", "--srt film.srt"))
      ->type_name("PATH")
      ->default_str("none")
      ->group(kVideoGroup);
  add_video_options(command, options.video);
}

void add_attention_options(CLI::App& command, CaptionOptions& options) {
  const std::string group = "Where words looked";
  command
      .add_option("--attention", options.attention,
                  with_example("A sheet with a panel per word (NAME.png) and its numbers (NAME.json) go here",
                               "--attention looks"))
      ->type_name("DIR")
      ->default_str("none")
      ->group(group);
  add_look_options(command, options.attention_layer, options.attention_head, group, "the decoder");
}

constexpr const char* kFooter =
    "A JSON line per picture: {\"source\",\"caption\",\"ids\",\"score\"}; of films and streams also\n"
    "\"frame\" and \"time_s\"; with --num-return-sequences the others, best first, under\n"
    "\"alternatives\". ids are the tokens with start, prompt and end. score: with beams the\n"
    "log probability over length^length-penalty, else the mean log probability of a token.\n"
    "What is not given here is the checkpoint's (generation_config.json).\n"
    "\n"
    "EXAMPLES\n"
    "  vitkit caption photo.jpg   (the bundled model)\n"
    "  vitkit caption --model path/to/checkpoint --num-beams 4 --format json photos/ > captions.jsonl\n"
    "  vitkit caption --model path/to/checkpoint --attention looks photo.jpg\n"
    "  vitkit caption --model path/to/checkpoint --prompt \"a photo of\" photo.jpg\n"
    "  vitkit caption --model path/to/checkpoint --temperature 0.8 --top-p 0.9 --seed 7 photo.jpg\n"
    "  vitkit caption --model path/to/checkpoint --every 2s --srt film.srt film.mp4";

}  // namespace

Action add_caption(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<CaptionOptions>();
  command
      .add_option(
          "SOURCE", options->sources,
          with_example("Picture, folder (recursive), quoted glob, @list.txt, - for paths on stdin, film, camera "
                       "number, rtsp:// or http:// stream, .streams file (a source per line, all at once)",
                       "photo.jpg photos/ film.mp4"))
      ->required();
  add_model_option(command, options->model, "");
  command.add_option("--prompt", options->prompt, with_example("How every caption begins", "--prompt \"a photo of\""))
      ->type_name("TEXT")
      ->default_str("none");
  add_batch_size_option(command, options->batch_size);
  add_max_pixels_option(command, options->max_pixels);
  add_generation_options(command, options->generation);
  add_attention_options(command, *options);
  add_film_options(command, *options);
  command.footer(kFooter);
  return [options, &common] { return caption(*options, common); };
}

}  // namespace apps
