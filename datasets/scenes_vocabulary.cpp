#include "datasets/scenes_vocabulary.h"

namespace datasets {

namespace {

constexpr std::array<const char*, kSceneKinds> kKindNames = {"star", "ring",  "cross", "leaf", "key",
                                                             "cup",  "heart", "arrow", "moon", "bolt"};
constexpr std::array<const char*, kSceneKinds> kPlurals = {"stars", "rings",  "crosses", "leaves", "keys",
                                                           "cups",  "hearts", "arrows",  "moons",  "bolts"};
constexpr std::array<const char*, kSceneColors> kColorNames = {"red",  "orange", "yellow", "green",
                                                               "cyan", "blue",   "purple", "white"};
constexpr std::array<const char*, kSceneSizes> kSizeNames = {"small", "medium", "large"};
constexpr std::array<vit::Color, kSceneColors> kColors = {{{208, 32, 38},
                                                           {242, 124, 16},
                                                           {244, 218, 40},
                                                           {40, 152, 52},
                                                           {36, 196, 208},
                                                           {34, 72, 206},
                                                           {134, 44, 168},
                                                           {240, 240, 236}}};
constexpr std::array<RadiusRange, kSceneSizes> kRadii = {{{0.075f, 0.1f}, {0.165f, 0.2f}, {0.27f, 0.34f}}};

}  // namespace

const char* name_of(SceneKind kind) { return kKindNames[static_cast<size_t>(kind)]; }
const char* name_of(SceneColor color) { return kColorNames[static_cast<size_t>(color)]; }
const char* name_of(SceneSize size) { return kSizeNames[static_cast<size_t>(size)]; }
const char* plural_of(SceneKind kind) { return kPlurals[static_cast<size_t>(kind)]; }

const std::vector<std::string>& scene_class_names() {
  static const std::vector<std::string> names(kKindNames.begin(), kKindNames.end());
  return names;
}

vit::Color rgb_of(SceneColor color) { return kColors[static_cast<size_t>(color)]; }
RadiusRange radius_range(SceneSize size) { return kRadii[static_cast<size_t>(size)]; }

}  // namespace datasets
