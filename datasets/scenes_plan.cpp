#include "datasets/scenes_plan.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "datasets/scenes_shapes.h"

namespace datasets {

namespace {

using vit::Rng;

constexpr float kPi = std::numbers::pi_v<float>;
/// The main object is turned by at most this much either way; the others by any angle.
constexpr float kMaxMainTurn = 0.7f;
/// Side of the grid on which a plan's occlusions are judged.
constexpr int64_t kGrid = 64;
/// A place for an object is sought this often before it is left out.
constexpr int kTries = 8;
/// Of 100 scenes, how many have at most 1, 2, ... objects (before any is left out).
constexpr int kCountShares[kMaxSceneObjects] = {12, 35, 60, 78, 90, 100};

/// Whether every object of a plan is visible enough.
class OcclusionJudge {
 public:
  void push(const PlannedObject& object) { masks_.push_back(object_mask(object, kGrid)); }
  void pop() { masks_.pop_back(); }

  bool accepts(const std::vector<size_t>& order) const {
    std::vector<uint8_t> taken(kGrid * kGrid, 0);
    for (auto object = order.rbegin(); object != order.rend(); ++object) {  // from the nearest
      const float visible = take(masks_[*object], taken);
      if (visible < (*object == 0 ? kMinMainVisibility : kMinVisibility)) return false;
    }
    return true;
  }

 private:
  /// The share of the object on pixels that are still free, which it takes.
  static float take(const vit::Mask& mask, std::vector<uint8_t>& taken) {
    int64_t total = 0, visible = 0;
    for (int64_t y = mask.rect.y0; y < mask.rect.y1; ++y)
      for (int64_t x = mask.rect.x0; x < mask.rect.x1; ++x) {
        if (mask.row(y)[x - mask.rect.x0] < 128) continue;
        ++total;
        if (x < 0 || y < 0 || x >= kGrid || y >= kGrid) continue;
        uint8_t& pixel = taken[static_cast<size_t>(y * kGrid + x)];
        visible += pixel == 0;
        pixel = 1;
      }
    return total > 0 ? static_cast<float>(visible) / static_cast<float>(total) : 0.0f;
  }

  std::vector<vit::Mask> masks_;
};

int64_t pick_count(Rng& rng) {
  const int64_t percent = pick(rng, 100);
  return 1 + (std::upper_bound(std::begin(kCountShares), std::end(kCountShares), percent) - std::begin(kCountShares));
}

/// Anywhere, or, half of the time, where it touches an object that is there.
vit::Point pick_place(Rng& rng, const PlannedObject& object, const std::vector<PlannedObject>& others) {
  if (rng.uniform() < 0.5f) return {between(rng, 0.03f, 0.97f), between(rng, 0.03f, 0.97f)};
  const PlannedObject& other = others[static_cast<size_t>(pick(rng, static_cast<int64_t>(others.size())))];
  const float angle = between(rng, -kPi, kPi), distance = between(rng, 0.75f, 1.2f) * (object.radius + other.radius);
  return {other.center.x + distance * std::cos(angle), other.center.y + distance * std::sin(angle)};
}

void place_others(Rng& rng, SceneSize main_size, int64_t count, ScenePlan& plan, OcclusionJudge& judge) {
  for (int64_t i = 1; i < count; ++i) {
    // Smaller than the main object, always.
    const bool small = main_size == SceneSize::medium || rng.uniform() < 0.5f;
    PlannedObject object =
        plan_object(rng, static_cast<SceneKind>(pick(rng, kSceneKinds)), small ? SceneSize::small : SceneSize::medium);
    for (int attempt = 0; attempt < kTries; ++attempt) {
      object.center = pick_place(rng, object, plan.objects);
      std::vector<size_t> order = plan.order;
      order.insert(order.begin() + pick(rng, static_cast<int64_t>(order.size()) + 1), plan.objects.size());
      judge.push(object);
      if (judge.accepts(order)) {
        plan.objects.push_back(object);
        plan.order = std::move(order);
        break;
      }
      judge.pop();
    }
  }
}

}  // namespace

Rng scene_rng(uint64_t seed, uint64_t index, SceneStream stream) {
  return Rng(seed ^ Rng::stream_of("scenes"), (index << 3) | static_cast<uint64_t>(stream));
}

float between(Rng& rng, float low, float high) { return low + (high - low) * rng.uniform(); }

int64_t pick(Rng& rng, int64_t count) {
  return static_cast<int64_t>((static_cast<uint64_t>(rng.next_u32()) * static_cast<uint64_t>(count)) >> 32);
}

vit::Affine PlannedObject::placement(float side) const {
  return vit::placed({center.x * side, center.y * side}, angle, radius * stretch * side, radius / stretch * side);
}

vit::Mask object_mask(const PlannedObject& object, int64_t side) {
  return vit::rasterize(vit::transformed(scene_shape(object.kind).outline, object.placement(static_cast<float>(side))),
                        {-side, -side, 2 * side, 2 * side});
}

PlannedObject plan_object(Rng& rng, SceneKind kind, SceneSize size) {
  PlannedObject object;
  object.kind = kind;
  object.size = size;
  object.color = static_cast<SceneColor>(pick(rng, kSceneColors));
  const RadiusRange radii = radius_range(size);
  object.radius = between(rng, radii.min, radii.max);
  object.angle = between(rng, -kPi, kPi);
  object.stretch = between(rng, 0.9f, 1.11f);
  object.texture = static_cast<SceneTexture>(pick(rng, 5));
  object.texture_scale = between(rng, 0.22f, 0.5f);
  object.texture_angle = between(rng, -kPi, kPi);
  object.texture_strength = between(rng, 0.12f, 0.38f);
  object.brightness = between(rng, 0.86f, 1.08f);
  return object;
}

SceneStyle plan_style(Rng& rng) {
  SceneStyle style;
  style.light_angle = between(rng, -kPi, kPi);
  style.light_falloff = between(rng, 0.0f, 0.4f);
  style.vignette = between(rng, 0.0f, 0.35f);
  for (float& channel : style.cast) channel = between(rng, 0.94f, 1.06f);
  style.blur = std::max(0.0f, between(rng, -0.004f, 0.006f));
  style.noise = between(rng, 1.0f, 7.0f);
  return style;
}

SceneKind main_kind(uint64_t seed, uint64_t index) {
  Rng rng = scene_rng(seed, index, SceneStream::plan);
  return static_cast<SceneKind>(pick(rng, kSceneKinds));
}

ScenePlan plan_scene(uint64_t seed, uint64_t index) {
  Rng rng = scene_rng(seed, index, SceneStream::plan);
  const auto kind = static_cast<SceneKind>(pick(rng, kSceneKinds));  // first: main_kind() relies on it
  const int64_t count = pick_count(rng);
  const SceneSize size = rng.uniform() < 0.75f ? SceneSize::large : SceneSize::medium;
  PlannedObject main = plan_object(rng, kind, size);
  main.angle = between(rng, -kMaxMainTurn, kMaxMainTurn);
  const float margin = 0.95f * main.radius;
  main.center = {between(rng, margin, 1.0f - margin), between(rng, margin, 1.0f - margin)};

  ScenePlan plan;
  plan.style = plan_style(rng);
  plan.objects.push_back(main);
  plan.order.push_back(0);
  OcclusionJudge judge;
  judge.push(main);
  place_others(rng, size, count, plan, judge);
  return plan;
}

}  // namespace datasets
