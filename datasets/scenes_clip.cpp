// Clips: objects on tracks. Lanes are filled one object after another, each of which enters, crosses and leaves.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "datasets/scenes.h"
#include "datasets/scenes_paint.h"
#include "datasets/scenes_plan.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

using vit::Point;
using vit::Rng;

constexpr float kPi = std::numbers::pi_v<float>;
constexpr int64_t kMaxFrames = 100'000;
/// Bounds how many objects there are at once, besides the one that stays.
constexpr int64_t kMaxLanes = 6;
/// Frames that an object needs to cross the picture, and frames until the next enters on its lane.
constexpr float kMinCrossing = 40.0f, kMaxCrossing = 110.0f, kMaxPause = 20.0f;

struct Track {
  PlannedObject object;
  float start = 0.0f, duration = 0.0f;  ///< in frames
  Point from, middle, to;               ///< control points of a quadratic Bezier curve
  float turn = 0.0f;                    ///< radians a frame
  int64_t lane = 0;                     ///< its depth: higher lanes are nearer

  bool lives(int64_t frame) const {
    const auto time = static_cast<float>(frame);
    return time >= start && time < start + duration;
  }

  PlannedObject at(int64_t frame) const {
    const float t = (static_cast<float>(frame) - start) / duration, s = 1.0f - t;
    PlannedObject moved = object;
    moved.center = {s * s * from.x + 2.0f * s * t * middle.x + t * t * to.x,
                    s * s * from.y + 2.0f * s * t * middle.y + t * t * to.y};
    moved.angle += turn * (static_cast<float>(frame) - start);
    return moved;
  }
};

/// A point outside the picture, beyond the side that lies in direction `angle` from its middle.
Point outside(float angle, float radius) {
  const float reach = 0.5f + 1.1f * radius;
  const float scale = reach / std::max(std::abs(std::cos(angle)), std::abs(std::sin(angle)));
  return {0.5f + scale * std::cos(angle), 0.5f + scale * std::sin(angle)};
}

Track crossing_track(Rng& rng) {
  Track track;
  const SceneSize size = rng.uniform() < 0.5f ? SceneSize::small : SceneSize::medium;
  track.object = plan_object(rng, static_cast<SceneKind>(pick(rng, kSceneKinds)), size);
  const float angle = between(rng, -kPi, kPi);
  track.from = outside(angle, track.object.radius);
  track.to = outside(angle + kPi + between(rng, -0.9f, 0.9f), track.object.radius);
  // Half of the paths are straight.
  track.middle = {0.5f * (track.from.x + track.to.x), 0.5f * (track.from.y + track.to.y)};
  if (rng.uniform() < 0.5f) {
    track.middle.x += between(rng, -0.7f, 0.7f);
    track.middle.y += between(rng, -0.7f, 0.7f);
  }
  track.duration = between(rng, kMinCrossing, kMaxCrossing);
  track.turn = between(rng, -0.06f, 0.06f);
  return track;
}

/// The object that stays: it wanders about the middle, there and back.
struct Resident {
  PlannedObject object;
  float speed_x = 0.0f, speed_y = 0.0f, phase_x = 0.0f, phase_y = 0.0f, turn = 0.0f;

  explicit Resident(Rng& rng)
      : object(plan_object(rng, static_cast<SceneKind>(pick(rng, kSceneKinds)), SceneSize::large)),
        speed_x(between(rng, 0.01f, 0.05f)),
        speed_y(between(rng, 0.01f, 0.05f)),
        phase_x(between(rng, -kPi, kPi)),
        phase_y(between(rng, -kPi, kPi)),
        turn(between(rng, -0.03f, 0.03f)) {}

  PlannedObject at(int64_t frame) const {
    const auto time = static_cast<float>(frame);
    const float reach = 0.5f - object.radius;
    PlannedObject moved = object;
    moved.center = {0.5f + reach * std::sin(phase_x + speed_x * time),
                    0.5f + reach * std::sin(phase_y + speed_y * time)};
    moved.angle += turn * time;
    return moved;
  }
};

}  // namespace

struct SceneClip::Impl {
  uint64_t seed, index;
  int64_t frames, side;
  SceneStyle style;
  Resident resident;
  int64_t resident_lane = 0;
  std::vector<Track> tracks;  // ids from 1, by the frame in which they start
  vit::Image background;

  Impl(uint64_t clip_seed, uint64_t clip_index, int64_t clip_frames, int64_t clip_side, Rng rng)
      : seed(clip_seed),
        index(clip_index),
        frames(clip_frames),
        side(clip_side),
        style(plan_style(rng)),
        resident(rng) {
    const int64_t lanes = 2 + pick(rng, kMaxLanes - 2);
    resident_lane = pick(rng, lanes + 1);
    for (int64_t lane = 0; lane <= lanes; ++lane)
      if (lane != resident_lane) fill_lane(rng, lane);
    std::stable_sort(tracks.begin(), tracks.end(), [](const Track& a, const Track& b) { return a.start < b.start; });
    Rng ground = scene_rng(seed, index, SceneStream::background);
    background = paint_background(ground, side, rgb_of(resident.object.color));
  }

  void fill_lane(Rng& rng, int64_t lane) {
    // The first may be on its way already.
    float time = between(rng, -0.7f * kMaxCrossing, 0.5f * kMaxCrossing);
    while (time < static_cast<float>(frames)) {
      Track track = crossing_track(rng);
      track.lane = lane;
      track.start = time;
      time += track.duration + between(rng, 0.0f, kMaxPause);
      if (track.start + track.duration > 0.0f) tracks.push_back(track);
    }
  }

  Scene draw(int64_t number) const {
    struct Present {
      PlannedObject object;
      int64_t id, lane;
    };
    std::vector<Present> present{{resident.at(number), 0, resident_lane}};
    for (size_t i = 0; i < tracks.size(); ++i)
      if (tracks[i].lives(number))
        present.push_back({tracks[i].at(number), static_cast<int64_t>(i) + 1, tracks[i].lane});
    std::stable_sort(present.begin(), present.end(),
                     [](const Present& a, const Present& b) { return a.lane < b.lane; });

    Scene scene;
    scene.label = static_cast<int64_t>(resident.object.kind);
    scene.image = vit::Image(side, side);
    vit::Canvas(scene.image).blit(background, 0, 0);
    scene.owners.assign(static_cast<size_t>(side * side), kNoOwner);
    std::vector<PaintedObject> painted;
    for (size_t i = 0; i < present.size(); ++i)
      painted.push_back(paint_object(scene.image, present[i].object, style, static_cast<uint8_t>(i), scene.owners));
    Rng noise = scene_rng(seed, (index << 20) + static_cast<uint64_t>(number), SceneStream::clip_noise);
    apply_camera(scene.image, style, noise);
    count_visible(scene.owners, side, painted);
    // Annotated by id, not by depth.
    std::vector<size_t> by_id(present.size());
    std::iota(by_id.begin(), by_id.end(), size_t{0});
    std::sort(by_id.begin(), by_id.end(), [&](size_t a, size_t b) { return present[a].id < present[b].id; });
    std::vector<uint8_t> names(present.size(), kNoOwner);
    for (const size_t i : by_id) {
      if (painted[i].visible_pixels == 0) continue;
      names[i] = static_cast<uint8_t>(scene.objects.size());
      scene.objects.push_back(annotation_of(present[i].object, painted[i], present[i].id, present[i].lane));
    }
    rename_owners(scene.owners, names);
    return scene;
  }
};

SceneClip::SceneClip(uint64_t seed, int64_t index, int64_t frames, int64_t side) {
  vit::check(side >= kMinSceneSide && side <= kMaxSceneSide, "scene clip: expected a side from ", kMinSceneSide, " to ",
             kMaxSceneSide, " pixels, got ", side);
  vit::check(index >= 0 && index < (int64_t{1} << 40), "scene clip: expected an index from 0 to 2^40, got ", index);
  vit::check(frames >= 1 && frames <= kMaxFrames, "scene clip: expected 1 to ", kMaxFrames, " frames, got ", frames);
  const auto stream = static_cast<uint64_t>(index);
  impl_ = std::make_unique<Impl>(seed, stream, frames, side, scene_rng(seed, stream, SceneStream::clip));
}

SceneClip::~SceneClip() = default;
SceneClip::SceneClip(SceneClip&&) noexcept = default;
SceneClip& SceneClip::operator=(SceneClip&&) noexcept = default;

int64_t SceneClip::frames() const { return impl_->frames; }
int64_t SceneClip::side() const { return impl_->side; }
int64_t SceneClip::tracks() const { return static_cast<int64_t>(impl_->tracks.size()) + 1; }
int64_t SceneClip::label() const { return static_cast<int64_t>(impl_->resident.object.kind); }

Scene SceneClip::frame(int64_t number) const {
  vit::check(number >= 0 && number < frames(), "scene clip: expected a frame from 0 to ", frames() - 1, ", got ",
             number);
  return impl_->draw(number);
}

}  // namespace datasets
