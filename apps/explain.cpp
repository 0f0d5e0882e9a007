// vitkit explain: what a model's answer rests on, and how far to believe the picture of it.
#include <map>
#include <memory>
#include <string>

#include "apps/explain_run.h"
#include "apps/verbs.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace apps {

namespace {

constexpr const char* kMethodGroup = "Methods";

/// "attention, eigencam, ...": for --help.
std::string known_methods() { return vit::joined(vit::method_registry().names()); }

/// Takes an option's values by their names.
template <class Enum>
CLI::Validator one_of(const std::string& option) {
  return CLI::Validator(
      [option](std::string& text) -> std::string {
        std::vector<std::string> known;
        for (const auto& [value, name] : enum_names(Enum{})) {
          known.push_back(name);
          if (name != text) continue;
          text = std::to_string(static_cast<int>(value));
          return {};
        }
        return "unknown '" + text + "'" + vit::did_you_mean(text, known) + "; known: " + vit::joined(known);
      },
      "");
}

template <class Value>
CLI::Option* add_number(CLI::App& command, const std::string& name, Value& value, const std::string& standard,
                        const CLI::Validator& range, const std::string& description) {
  return command.add_option(name, value, description)
      ->type_name("N")
      ->default_str(standard)
      ->check(range)
      ->group(kMethodGroup);
}

void add_method_options(CLI::App& command, ExplainOptions& options) {
  command
      .add_option(
          "--method", options.methods,
          with_example("Methods, separated by commas, or all: " + known_methods(), "--method relevance,gradcam"))
      ->type_name("A,B")
      ->default_str("relevance; where that does not apply gradcam, or layercam for objects and words")
      ->group(kMethodGroup);
  const CLI::Range layers(int64_t{0}, int64_t{1} << 20);
  add_number(command, "--layer", options.method.layer, "the method's own", layers,
             with_example("Layer that a method looks at (rollouts, relevance: the last one), from 0", "--layer 3"));
  add_number(command, "--head", options.method.head, "all, see --head-fusion", layers,
             with_example("Attention head, from 0", "--head 2"));
  command
      .add_option("--head-fusion", options.method.head_fusion,
                  with_example("How heads become one", "--head-fusion max"))
      ->type_name("mean|min|max")
      ->default_str("mean")
      ->transform(one_of<vit::HeadFusion>("--head-fusion"))
      ->group(kMethodGroup);
  add_number(command, "--discard-ratio", options.method.discard_ratio, "0", CLI::Range(0.0, 0.999),
             with_example("Rollouts: share of each layer's weakest attention that is left out", "--discard-ratio 0.9"));
  add_number(command, "--steps", options.method.steps, "100", CLI::Range(int64_t{1}, int64_t{1} << 16),
             with_example("Integrated gradients: points on the path", "--steps 400"));
  add_number(command, "--samples", options.method.samples, "1000", CLI::Range(int64_t{1}, int64_t{1} << 20),
             with_example("RISE: masks", "--samples 4000"));
}

void add_answer_options(CLI::App& command, ExplainOptions& options) {
  const char* group = "Answers";
  command
      .add_option("--target", options.answers.target,
                  with_example("Class to explain, by name or number; of captions: a word", "--target \"tabby cat\""))
      ->type_name("CLASS")
      ->default_str("the best answer")
      ->group(group);
  command
      .add_option(
          "--answers", options.answers.answers,
          with_example("Answers explained per picture: classes, objects; a caption and its words", "--answers 3"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->group(group);
  command.add_option("--conf", options.answers.conf, with_example("Detectors: least score of an object", "--conf 0.3"))
      ->type_name("X")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
  command
      .add_option("--labels", options.answers.labels,
                  with_example("Classes as text, for CLIP models; @FILE: one per line", "--labels \"a cat,a dog\""))
      ->type_name("A,B")
      ->default_str("the model's")
      ->group(group);
}

void add_judgement_options(CLI::App& command, ExplainOptions& options) {
  const char* group = "How far to believe it";
  command
      .add_option("--faithfulness", options.judge,
                  with_example("Measure deletion, insertion, ROAD and the check with random weights: some 65 passes a "
                               "map; `pictures` leaves films out",
                               "--faithfulness never"))
      ->type_name("pictures|always|never")
      ->default_str("pictures")
      ->transform(one_of<Judge>("--faithfulness"))
      ->group(group);
  command
      .add_flag("--no-sanity", options.no_sanity,
                with_example("Leave the check with random weights out, which makes each map twice (default: off)",
                             "--no-sanity"))
      ->group(group);
  command
      .add_option(
          "--data", options.data,
          with_example("Compare methods on a labelled data set instead (classifiers): a table with 95 % intervals",
                       "--data scenes:7:100 --method all"))
      ->type_name("DATA")
      ->default_str("none")
      ->group(group);
  command.add_option("--limit", options.limit, with_example("Pictures of --data at most", "--limit 50"))
      ->type_name("N")
      ->default_str("all")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->group(group);
}

constexpr const char* kFooter =
    "EXAMPLES\n"
    "  vitkit explain photo.jpg --save out   (the bundled model; out/report.html opens anywhere)\n"
    "  vitkit explain --model path/to/vit --method rollout,relevance,gradcam --save out photos/\n"
    "  vitkit explain --model path/to/vit --method attention --layer 5 --head 2 --save out photo.jpg\n"
    "  vitkit explain --model path/to/detr --target person --answers 3 --save out street.jpg\n"
    "  vitkit explain --model path/to/captioner --target dog --save out photo.jpg\n"
    "  vitkit explain --model path/to/vit --method gradcam --save out film.mp4   (out/film_gradcam.mp4)\n"
    "  vitkit explain --data scenes:7:100 --method all --format csv   (which method to trust)";

}  // namespace

Action add_explain(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<ExplainOptions>();
  command.add_option("SOURCE", options->sources,
                     with_example("Picture, folder (recursive), quoted glob, @list.txt, - for paths on stdin, film, "
                                  "camera's number, rtsp:// or http:// stream",
                                  "photo.jpg photos/ film.mp4"));
  add_model_option(command, options->model, ": classifier, detector or captioner");
  command
      .add_option("--save", options->save,
                  with_example("Of pictures maps (.npy, grey PNG), overlays, sheets of all heads and report.html go "
                               "here, of films films of overlays",
                               "--save out"))
      ->type_name("DIR")
      ->default_str("nothing is saved");
  command
      .add_option("--report-mb", options->report_mb,
                  with_example("Size of report.html at most; heads, then layers are left out", "--report-mb 100"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{2000}));
  add_batch_size_option(command, options->method.batch_size);
  add_img_size_option(command, options->answers.img_size);
  add_max_pixels_option(command, options->max_pixels);
  add_method_options(command, *options);
  add_answer_options(command, *options);
  add_judgement_options(command, *options);
  add_video_options(command, options->video);
  command.footer(kFooter);
  return [options, &common] {
    options->method.seed = common.seed;
    if (options->sources.empty() == options->data.empty())
      vit::fail_usage("name sources to explain, or --data to compare methods on, and not both");
    if (!options->data.empty() && !options->save.empty())
      vit::fail_usage("--save writes maps of sources; --data makes a table, for --output FILE");
    return options->data.empty() ? explain(*options, common) : compare_methods(*options, common);
  };
}

}  // namespace apps
