#include "datasets/actions.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "datasets/format.h"
#include "datasets/scenes_paint.h"
#include "datasets/scenes_plan.h"
#include "datasets/spec_numbers.h"
#include "vit/core/check.h"
#include "vit/image/strip.h"

namespace datasets {

namespace {

using vit::Rng;

constexpr const char* kPrefix = "actions:";
constexpr int64_t kMaxClips = int64_t{1} << 30;
/// How far an object moves, and its radius in the middle, as shares of the side; how much larger it becomes.
constexpr float kMinWay = 0.44f, kMaxWay = 0.56f, kMinRadius = 0.15f, kMaxRadius = 0.2f, kMinGrowth = 2.0f,
                kMaxGrowth = 2.8f;

enum class Use { action, event, look, noise };

Rng action_rng(uint64_t seed, int64_t index, Use use, int64_t frame = 0) {
  return Rng(seed, Rng::stream_of(vit::str("actions.", static_cast<int>(use), ".", index, ".", frame)));
}

/// What a clip shows.
struct Look {
  PlannedObject object;
  SceneStyle style;
  float way = 0.0f, growth = 1.0f;
  float ground[2][3] = {};  ///< colours of the ground at both ends
  float ground_angle = 0.0f;

  explicit Look(Rng rng) {
    object = plan_object(rng, static_cast<SceneKind>(pick(rng, kSceneKinds)), SceneSize::medium);
    style = plan_style(rng);
    object.radius = between(rng, kMinRadius, kMaxRadius);
    way = between(rng, kMinWay, kMaxWay);
    growth = between(rng, kMinGrowth, kMaxGrowth);
    // Whatever it will do, it could do anything from here.
    const float margin = 0.5f * way + object.radius;
    object.center = {between(rng, margin, 1.0f - margin), between(rng, margin, 1.0f - margin)};
    for (auto& color : ground)
      for (float& channel : color) channel = between(rng, 20.0f, 80.0f);
    ground_angle = between(rng, -std::numbers::pi_v<float>, std::numbers::pi_v<float>);
  }

  vit::Image painted_ground(int64_t side) const {
    vit::Image image(side, side);
    const float dx = std::cos(ground_angle), dy = std::sin(ground_angle), extent = static_cast<float>(side);
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x) {
        const float u = (static_cast<float>(x) + 0.5f) / extent - 0.5f,
                    v = (static_cast<float>(y) + 0.5f) / extent - 0.5f;
        const float mix = std::clamp(0.5f + 0.7f * (u * dx + v * dy), 0.0f, 1.0f);
        for (size_t c = 0; c < 3; ++c)
          image.row(y)[3 * x + static_cast<int64_t>(c)] =
              static_cast<uint8_t>((1.0f - mix) * ground[0][c] + mix * ground[1][c] + 0.5f);
      }
    return image;
  }

  /// The object in step `step` of `steps` of an action; none where it is gone.
  std::optional<PlannedObject> acting(Action action, int64_t step, int64_t steps) const {
    PlannedObject acting = object;
    // From -1/2 to 1/2.
    const float phase = static_cast<float>(step) / static_cast<float>(std::max<int64_t>(1, steps - 1)) - 0.5f;
    switch (action) {
      case Action::left:
        acting.center.x -= way * phase;
        break;
      case Action::right:
        acting.center.x += way * phase;
        break;
      case Action::up:
        acting.center.y -= way * phase;
        break;
      case Action::down:
        acting.center.y += way * phase;
        break;
      case Action::grows:
        acting.radius *= std::pow(growth, phase);
        break;
      case Action::shrinks:
        acting.radius *= std::pow(growth, -phase);
        break;
      case Action::blinks:
        if (step % 2 == 1) return std::nullopt;
        break;
      case Action::still:
        break;
    }
    return acting;
  }
};

void check_extents(int64_t index, int64_t frames, int64_t side) {
  vit::check(index >= 0 && index < kMaxClips, "actions: expected an index from 0 to 2^30, got ", index);
  vit::check(frames >= kMinActionFrames && frames <= kMaxActionFrames, "actions: expected ", kMinActionFrames, " to ",
             kMaxActionFrames, " frames, got ", frames);
  vit::check(side >= kMinActionSide && side <= kMaxActionSide, "actions: expected a side from ", kMinActionSide, " to ",
             kMaxActionSide, " pixels, got ", side);
}

}  // namespace

const std::vector<std::string>& action_names() {
  static const std::vector<std::string> names = {"moves left", "moves right", "moves up", "moves down",
                                                 "grows",      "shrinks",     "blinks",   "still"};
  return names;
}

Action action_of(uint64_t seed, int64_t index) {
  Rng rng = action_rng(seed, index, Use::action);
  return static_cast<Action>(pick(rng, kActions));
}

FrameRange action_event(uint64_t seed, int64_t index, int64_t frames) {
  Rng rng = action_rng(seed, index, Use::event);
  const int64_t least = std::max<int64_t>(3, frames / 2), most = std::max<int64_t>(least, frames * 5 / 8);
  const int64_t count = least + pick(rng, most - least + 1);
  const int64_t first = pick(rng, frames - count + 1);
  return {first, first + count};
}

ActionClip draw_action(uint64_t seed, int64_t index, int64_t frames, int64_t side) {
  check_extents(index, frames, side);
  ActionClip clip;
  clip.action = action_of(seed, index);
  clip.event = action_event(seed, index, frames);
  const Look look(action_rng(seed, index, Use::look));
  const vit::Image ground = look.painted_ground(side);
  std::vector<vit::Image> pictures;
  for (int64_t t = 0; t < frames; ++t) {
    vit::Image frame(ground.pixels.clone());
    std::optional<PlannedObject> object;
    if (clip.event.contains(t)) object = look.acting(clip.action, t - clip.event.first, clip.event.count());
    std::vector<uint8_t> owners(static_cast<size_t>(side * side), kNoOwner);
    if (object) paint_object(frame, *object, look.style, 0, owners);
    Rng noise = action_rng(seed, index, Use::noise, t);
    apply_camera(frame, look.style, noise);
    pictures.push_back(frame);
  }
  clip.strip = vit::make_strip(pictures);
  return clip;
}

ActionsDataset::ActionsDataset(uint64_t seed, int64_t count, int64_t frames, int64_t side)
    : seed_(seed), count_(count), frames_(frames), side_(side) {
  const auto require = [](int64_t value, int64_t low, int64_t high, const char* what) {
    if (value < low || value > high)
      vit::fail_usage("actions: expected ", low, " to ", high, " ", what, ", got ", value);
  };
  require(count, 1, kMaxClips, "clips");
  require(frames, kMinActionFrames, kMaxActionFrames, "frames");
  require(side, kMinActionSide, kMaxActionSide, "pixels along each side");
}

void ActionsDataset::check_index(int64_t index) const {
  vit::check(index >= 0 && index < count_, "actions: expected an index from 0 to ", count_ - 1, ", got ", index);
}

int64_t ActionsDataset::label(int64_t index) const {
  check_index(index);
  return static_cast<int64_t>(action_of(seed_, index));
}

std::string ActionsDataset::source(int64_t index) const {
  return vit::str(kPrefix, seed_, ":", index, ":", frames_, ":", side_);
}

vit::Image ActionsDataset::load(int64_t index) const {
  check_index(index);
  return draw_action(seed_, index, frames_, side_).strip;
}

FrameRange ActionsDataset::event(int64_t index) const {
  check_index(index);
  return action_event(seed_, index, frames_);
}

std::unique_ptr<ActionsDataset> open_actions(const std::string& spec) {
  const std::string prefix = kPrefix;
  const auto numbers = spec.starts_with(prefix) ? spec_numbers(spec.substr(prefix.size())) : std::nullopt;
  if (!numbers || numbers->size() < 3 || numbers->size() > 4)
    vit::fail_usage("'", spec,
                    "': expected actions:SEED:COUNT:FRAMES[:SIDE], such as actions:7:100:8 or actions:7:100:8:32");
  // Numbers beyond 2^63 become negative, which the constructor refuses.
  const auto number = [&](size_t i) { return static_cast<int64_t>((*numbers)[i]); };
  return std::make_unique<ActionsDataset>((*numbers)[0], number(1), number(2),
                                          numbers->size() > 3 ? number(3) : kDefaultActionSide);
}

namespace {

OpenedDataset open_actions_format(const DatasetRequest& request) {
  OpenedDataset opened{.root = kPrefix + request.path};
  opened.data = open_actions(opened.root);
  return opened;
}

}  // namespace

VITKIT_REGISTER_DATASET("actions", DatasetFormat{.summary = "generated clips of one action each, as strips of frames: "
                                                            "actions:SEED:COUNT:FRAMES[:SIDE]",
                                                 .open = open_actions_format});

}  // namespace datasets
