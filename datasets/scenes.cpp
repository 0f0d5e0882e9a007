#include "datasets/scenes.h"

#include <algorithm>

#include "datasets/scenes_caption.h"
#include "datasets/scenes_paint.h"
#include "datasets/scenes_plan.h"
#include "datasets/spec_numbers.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

constexpr const char* kPrefix = "scenes:";
/// Keeps (index << 3) within 64 bits.
constexpr int64_t kMaxIndex = int64_t{1} << 60;

void check_scene(int64_t index, int64_t side) {
  vit::check(side >= kMinSceneSide && side <= kMaxSceneSide, "scenes: expected a side from ", kMinSceneSide, " to ",
             kMaxSceneSide, " pixels, got ", side);
  vit::check(index >= 0 && index < kMaxIndex, "scenes: expected an index of at least 0 and below ", kMaxIndex, ", got ",
             index);
}

}  // namespace

Scene draw_scene(uint64_t seed, int64_t index, int64_t side) {
  check_scene(index, side);
  const auto stream = static_cast<uint64_t>(index);
  const ScenePlan plan = plan_scene(seed, stream);
  Scene scene;
  scene.label = static_cast<int64_t>(plan.objects[0].kind);
  vit::Rng background = scene_rng(seed, stream, SceneStream::background);
  scene.image = paint_background(background, side, rgb_of(plan.objects[0].color));
  scene.owners.assign(static_cast<size_t>(side * side), kNoOwner);

  std::vector<PaintedObject> painted(plan.objects.size());
  std::vector<int64_t> depths(plan.objects.size());
  for (size_t depth = 0; depth < plan.order.size(); ++depth) {
    const size_t object = plan.order[depth];
    painted[object] =
        paint_object(scene.image, plan.objects[object], plan.style, static_cast<uint8_t>(object), scene.owners);
    depths[object] = static_cast<int64_t>(depth);
  }
  vit::Rng noise = scene_rng(seed, stream, SceneStream::noise);
  apply_camera(scene.image, plan.style, noise);

  count_visible(scene.owners, side, painted);
  std::vector<uint8_t> names(painted.size(), kNoOwner);
  for (size_t i = 0; i < painted.size(); ++i) {
    if (painted[i].visible_pixels == 0) continue;
    names[i] = static_cast<uint8_t>(scene.objects.size());
    scene.objects.push_back(annotation_of(plan.objects[i], painted[i], static_cast<int64_t>(i), depths[i]));
  }
  rename_owners(scene.owners, names);
  vit::Rng words = scene_rng(seed, stream, SceneStream::captions);
  scene.captions = make_scene_captions(scene.objects, words, kSceneCaptions);
  return scene;
}

int64_t scene_label(uint64_t seed, int64_t index) {
  check_scene(index, kDefaultSceneSide);
  return static_cast<int64_t>(main_kind(seed, static_cast<uint64_t>(index)));
}

ScenesDataset::ScenesDataset(uint64_t seed, int64_t count, int64_t side) : seed_(seed), count_(count), side_(side) {
  if (count < 1 || count > kMaxIndex) vit::fail_usage("scenes: expected at least one scene, got ", count);
  if (side < kMinSceneSide || side > kMaxSceneSide)
    vit::fail_usage("scenes: expected a side from ", kMinSceneSide, " to ", kMaxSceneSide, " pixels, got ", side);
}

void ScenesDataset::check_index(int64_t index) const {
  vit::check(index >= 0 && index < count_, "scenes: expected an index from 0 to ", count_ - 1, ", got ", index);
}

int64_t ScenesDataset::label(int64_t index) const {
  check_index(index);
  return scene_label(seed_, index);
}

std::string ScenesDataset::source(int64_t index) const {
  check_index(index);
  return vit::str(kPrefix, seed_, ":", index, ":", side_);
}

Scene ScenesDataset::scene(int64_t index) const {
  check_index(index);
  return draw_scene(seed_, index, side_);
}

vit::Image ScenesDataset::load(int64_t index) const {
  const Scene drawn = scene(index);
  memory_.keep(index, scene_boxes(drawn));
  caption_memory_.keep(index, drawn.captions);
  return drawn.image;
}

std::vector<std::string> ScenesDataset::sentences(int64_t index) const {
  std::vector<std::string> captions;
  if (caption_memory_.find(index, captions)) return captions;
  captions = scene(index).captions;
  caption_memory_.keep(index, captions);
  return captions;
}

std::vector<BoxAnnotation> ScenesDataset::boxes(int64_t index) const {
  std::vector<BoxAnnotation> boxes;
  if (memory_.find(index, boxes)) return boxes;
  boxes = scene_boxes(scene(index));
  memory_.keep(index, boxes);
  return boxes;
}

std::vector<BoxAnnotation> scene_boxes(const Scene& scene, bool tracks) {
  std::vector<BoxAnnotation> boxes;
  for (const SceneObject& object : scene.objects) {
    BoxAnnotation& box = boxes.emplace_back();
    std::copy(object.box.begin(), object.box.end(), box.box.begin());
    box.label = static_cast<int64_t>(object.kind);
    box.difficult = object.visibility < kMinSceneVisibility;
    box.area = vit::box_area(box.box);
    box.id = object.id;
    if (tracks) box.track = object.id;
  }
  return boxes;
}

bool is_scenes_spec(const std::string& spec) { return spec.rfind(kPrefix, 0) == 0; }

std::unique_ptr<ScenesDataset> open_scenes(const std::string& spec) {
  const std::string expected = "expected scenes:SEED:COUNT[:SIDE], such as scenes:7:5000 or scenes:7:5000:96";
  if (!is_scenes_spec(spec)) vit::fail_usage("'", spec, "': ", expected);
  const auto numbers = spec_numbers(spec.substr(std::string(kPrefix).size()));
  if (!numbers || numbers->size() < 2 || numbers->size() > 3) vit::fail_usage("'", spec, "': ", expected);
  // Numbers beyond 2^63 become negative, which the constructor refuses.
  const auto number = [&](size_t i) { return static_cast<int64_t>((*numbers)[i]); };
  return std::make_unique<ScenesDataset>((*numbers)[0], number(1), numbers->size() > 2 ? number(2) : kDefaultSceneSide);
}

}  // namespace datasets
