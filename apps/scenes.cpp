// vitkit scenes: writes generated scenes as pictures, or clips frame by frame, with what is in them.
#include "datasets/scenes.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "apps/output.h"
#include "apps/progress.h"
#include "apps/scene_files.h"
#include "apps/verbs.h"
#include "datasets/actions.h"
#include "vit/core/check.h"

namespace apps {

namespace {

struct ScenesOptions {
  std::string folder;
  int64_t count = 24;
  int64_t first = 0;
  int64_t size = datasets::kDefaultSceneSide;
  int64_t clip = 0;  ///< frames; 0: single pictures
  bool coco = false;
  bool video = false;
  bool actions = false;
};

Record describe(const datasets::Scene& scene, const std::string& file) {
  Record objects = Record::array();
  for (const datasets::SceneObject& object : scene.objects)
    objects.push_back({{"kind", name_of(object.kind)},
                       {"color", name_of(object.color)},
                       {"size", name_of(object.size)},
                       {"box", object.box},
                       {"visibility", object.visibility}});
  return {{"source", file},
          {"label", name_of(scene.objects.front().kind)},
          {"index", scene.label},
          {"caption", scene.captions.front()},
          {"objects", objects}};
}

void write_pictures(const ScenesOptions& options, const CommonOptions& common, SceneFiles& files, Output& output) {
  Progress progress(common, "pictures", /*prints_results=*/true, options.count);
  for (int64_t i = options.first; i < options.first + options.count; ++i) {
    const datasets::Scene scene = datasets::draw_scene(common.seed, i, options.size);
    const std::string file = files.add_scene(i, scene);
    output.write(describe(scene, file), fmt::format("{}: {}\n", file, scene.captions.front()));
    progress.advance();
  }
}

void write_clips(const ScenesOptions& options, const CommonOptions& common, SceneFiles& files, Output& output) {
  Progress progress(common, "frames", /*prints_results=*/true, options.count * options.clip);
  for (int64_t i = options.first; i < options.first + options.count; ++i) {
    const datasets::SceneClip clip(common.seed, i, options.clip, options.size);
    const ClipFiles written = files.add_clip(i, clip, [&] { progress.advance(); });
    Record record = {
        {"source", written.frames}, {"frames", clip.frames()}, {"tracks", written.tracks}, {"truth", written.truth}};
    if (!written.video.empty()) record["video"] = written.video;
    output.write(record, fmt::format("{}: {} frames, tracks of {} objects in {}\n", written.frames, clip.frames(),
                                     written.tracks, written.truth));
  }
}

void write_actions(const ScenesOptions& options, const CommonOptions& common, const SceneFiles& files, Output& output) {
  Progress progress(common, "films", /*prints_results=*/true, options.count);
  for (int64_t i = options.first; i < options.first + options.count; ++i) {
    const datasets::ActionClip clip = datasets::draw_action(common.seed, i, options.clip, options.size);
    const std::string film = files.add_action(i, clip, options.clip);
    const std::string& label = datasets::action_names()[static_cast<size_t>(clip.action)];
    output.write({{"source", film},
                  {"label", label},
                  {"index", static_cast<int64_t>(clip.action)},
                  {"event", {clip.event.first, clip.event.end}}},
                 fmt::format("{}: {}, frames {} to {}\n", film, label, clip.event.first, clip.event.end - 1));
    progress.advance();
  }
}

/// Errors (usage): options that do not go together.
void check_options(const ScenesOptions& options) {
  if (options.video && options.clip == 0) vit::fail_usage("--video: single pictures are no film; add --clip FRAMES");
  if (!options.actions) return;
  if (options.coco) vit::fail_usage("--actions: clips of actions have a class each, and no boxes for --coco");
  if (options.clip < datasets::kMinActionFrames || options.clip > datasets::kMaxActionFrames)
    vit::fail_usage("--actions: films of actions have ", datasets::kMinActionFrames, " to ", datasets::kMaxActionFrames,
                    " frames; add --clip FRAMES");
  if (options.size > datasets::kMaxActionSide)
    vit::fail_usage("--actions: --size is at most ", datasets::kMaxActionSide, ", got ", options.size);
}

int scenes(const ScenesOptions& options, const CommonOptions& common) {
  check_options(options);
  Output output(common);
  SceneFiles files(options.folder, options.coco, options.video);
  if (options.actions)
    write_actions(options, common, files, output);
  else if (options.clip > 0)
    write_clips(options, common, files, output);
  else
    write_pictures(options, common, files, output);
  files.finish();
  output.finish();
  return 0;
}

}  // namespace

Action add_scenes(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<ScenesOptions>();
  command
      .add_option("folder", options->folder,
                  with_example("Folder that gets one folder per class with the pictures as PNG", "scenes/"))
      ->type_name("DIR")
      ->required();
  CLI::Option* count =
      command.add_option("--count,-n", options->count, with_example("Number of pictures, or of clips", "--count 100"));
  count->default_str("24 pictures, 1 clip")->check(CLI::Range(int64_t{1}, int64_t{10000000}));
  command.add_option("--first", options->first, with_example("Number of the first scene or clip", "--first 1000"))
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 39));
  command.add_option("--size", options->size, with_example("Pixels along each side", "--size 256"))
      ->capture_default_str()
      ->check(CLI::Range(datasets::kMinSceneSide, datasets::kMaxSceneSide));
  command
      .add_option("--clip", options->clip,
                  with_example("Clips of this many frames in place of single pictures, as the MOT Challenge lays them "
                               "out: clip_000000/img1/000001.png, gt/gt.txt with the tracks",
                               "--clip 200 --count 1"))
      ->type_name("FRAMES")
      ->default_str("single pictures")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}));
  command.add_flag("--coco", options->coco,
                   with_example("Also write boxes of all objects as COCO's JSON, so that the folder is a data set for "
                                "detectors",
                                "--coco"));
  command.add_flag(
      "--video", options->video,
      with_example("Also write each clip as a film, clip_000000.mp4, of 25 frames a second (--actions: films only)",
                   "--video"));
  command.add_flag("--actions", options->actions,
                   with_example("With --clip: films of one action each, one folder per class, for models of clips",
                                "--actions --clip 24"));
  command.footer(
      "A scene is a function of --seed and its number: the same picture everywhere.\n"
      "Data sets need no files: --data scenes:SEED:COUNT draws the same scenes, and\n"
      "clips:SEED:COUNT:FRAMES the same clips.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit scenes scenes/ --count 100 --seed 7\n"
      "  vitkit scenes scenes/ --format json > truth.jsonl\n"
      "  vitkit scenes boxes/ --count 500 --coco && vitkit doctor boxes/\n"
      "  vitkit scenes clips/ --clip 200 --video --size 256\n"
      "  vitkit scenes films/ --actions --clip 24 --count 10   (what only time tells apart)\n"
      "  vitkit classify --model scenes --sheet answers.png scenes/");
  return [options, count, &common] {
    if (options->clip > 0 && count->count() == 0) options->count = 1;
    return scenes(*options, common);
  };
}

}  // namespace apps
