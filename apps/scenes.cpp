// vitkit scenes: writes generated scenes as pictures, with what is in them.
#include "datasets/scenes.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "apps/output.h"
#include "apps/progress.h"
#include "apps/verbs.h"
#include "vit/core/check.h"
#include "vit/image/encode.h"

namespace apps {

namespace {

struct ScenesOptions {
  std::string folder;
  int64_t count = 24;
  int64_t first = 0;
  int64_t size = datasets::kDefaultSceneSide;
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

int scenes(const ScenesOptions& options, const CommonOptions& common) {
  Output output(common);
  Progress progress(common, "pictures", /*prints_results=*/true, options.count);
  for (int64_t i = options.first; i < options.first + options.count; ++i) {
    const datasets::Scene scene = datasets::draw_scene(common.seed, i, options.size);
    const std::filesystem::path folder = std::filesystem::path(options.folder) / name_of(scene.objects.front().kind);
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) vit::fail(folder.string(), ": cannot be made: ", error.message());
    const std::filesystem::path file = folder / fmt::format("{:06d}.png", i);
    vit::save_image(file, scene.image);
    output.write(describe(scene, file.string()), fmt::format("{}: {}\n", file.string(), scene.captions.front()));
    progress.advance();
  }
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
  command.add_option("--count,-n", options->count, with_example("Number of pictures", "--count 100"))
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{10000000}));
  command.add_option("--first", options->first, with_example("Number of the first scene", "--first 1000"))
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  command.add_option("--size", options->size, with_example("Pixels along each side", "--size 256"))
      ->capture_default_str()
      ->check(CLI::Range(datasets::kMinSceneSide, datasets::kMaxSceneSide));
  command.footer(
      "A scene is a function of --seed and its number: the same picture everywhere.\n"
      "Data sets need no files: --data scenes:SEED:COUNT draws the same scenes.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit scenes scenes/ --count 100 --seed 7\n"
      "  vitkit scenes scenes/ --format json > truth.jsonl\n"
      "  vitkit classify --model scenes --sheet answers.png scenes/");
  return [options, &common] { return scenes(*options, common); };
}

}  // namespace apps
