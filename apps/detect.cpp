// vitkit detect: what is where in these pictures, films and streams.
#include <memory>

#include "apps/detect_run.h"
#include "apps/look_options.h"
#include "apps/verbs.h"

namespace apps {

namespace {

void add_choice_options(CLI::App& command, DetectOptions& options) {
  command.add_option("--conf", options.conf, with_example("Only objects of a score above this, 0 to 1", "--conf 0.3"))
      ->type_name("X")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option("--classes", options.classes,
                  with_example("Only these classes, by name or number", "--classes person,dog"))
      ->type_name("A,B")
      ->default_str("all");
  command
      .add_option("--max-det", options.max_det,
                  with_example("Objects per picture or frame at most, the best; 0: all", "--max-det 20"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20));
}

void add_film_options(CLI::App& command, DetectOptions& options) {
  command
      .add_flag("--track", options.track,
                with_example("Follow objects from frame to frame, with numbers (default: off)", "--track"))
      ->group(kVideoGroup);
  command
      .add_option("--tracker", options.tracker,
                  with_example("How: bytetrack, sort, or a YAML file; implies --track", "--tracker sort"))
      ->type_name("T")
      ->default_str("bytetrack")
      ->group(kVideoGroup);
  add_video_options(command, options.video);
}

void add_save_options(CLI::App& command, DetectOptions& options) {
  const std::string group = "What is kept";
  const auto path = [&](const char* name, std::string& value, const char* type, const std::string& description) {
    command.add_option(name, value, description)->type_name(type)->default_str("none")->group(group);
  };
  path("--save", options.save, "DIR",
       with_example("Annotated pictures and films (without sound) go here, under their own names", "--save out"));
  path("--save-json", options.save_json, "FILE",
       with_example("All results as JSON lines, whatever --format is", "--save-json boxes.jsonl"));
  const auto flag = [&](const char* name, bool& value, const std::string& description) {
    command.add_flag(name, value, description)->group(group);
  };
  flag(
      "--save-txt", options.save_txt,
      with_example("YOLO label files in DIR/labels, one per picture or frame (default: off)", "--save out --save-txt"));
  flag("--save-crop", options.save_crop,
       with_example("Every object cut out, in DIR/crops/CLASS (default: off)", "--save out --save-crop"));
  flag("--save-frames", options.save_frames,
       with_example("Annotated frames of films, too, in DIR/FILM (default: off)", "--save out --save-frames"));
  path("--attention", options.attention, "DIR",
       with_example("A picture per object of where its query looked goes here", "--attention looks"));
  add_look_options(command, options.attention_layer, options.attention_head, group, "the decoder (YOLOS: block)");
  flag("--show", options.show, with_example("A window; q or Escape closes it (default: off)", "--show"));
}

constexpr const char* kFooter =
    "A JSON line per picture or frame: {\"source\",\"frame\",\"time_s\",\"width\",\"height\",\"detections\":\n"
    "[{\"label\",\"index\",\"score\",\"box\":[x1,y1,x2,y2],\"track\"}]}, boxes in pixels; live sources add\n"
    "\"lag_ms\" and \"dropped\", and a line {\"gap\":{\"from\",\"to\",\"reason\"}} when they were away.\n"
    "Ctrl-C ends a run cleanly: films are playable, results complete up to there. -v shows\n"
    "what each stage costs.\n"
    "\n"
    "EXAMPLES\n"
    "  vitkit detect street.jpg   (the bundled model)\n"
    "  vitkit detect --model path/to/checkpoint --format json photos/ > boxes.jsonl\n"
    "  vitkit detect --model path/to/checkpoint --track --save out film.mp4\n"
    "  vitkit detect --model path/to/checkpoint --classes person --format json rtsp://camera/1\n"
    "  vitkit detect --model path/to/checkpoint --show 0   (the first camera)\n"
    "  vitkit detect --model path/to/checkpoint --save out cameras.streams   (several at once)";

}  // namespace

Action add_detect(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<DetectOptions>();
  command
      .add_option(
          "SOURCE", options->sources,
          with_example("Picture, folder (recursive), quoted glob, @list.txt, - for paths on stdin, film, camera "
                       "number, rtsp:// or http:// stream, .streams file (a source per line, all at once)",
                       "photo.jpg photos/ film.mp4 rtsp://camera/1"))
      ->required();
  add_model_option(command, options->model, ", or a configuration's name for random weights");
  add_choice_options(command, *options);
  add_batch_size_option(command, options->batch_size);
  add_img_size_option(command, options->img_size);
  add_precision_option(command, options->precision);
  add_max_pixels_option(command, options->max_pixels);
  add_film_options(command, *options);
  add_save_options(command, *options);
  command.footer(kFooter);
  return [options, &common] { return detect(*options, common); };
}

}  // namespace apps
