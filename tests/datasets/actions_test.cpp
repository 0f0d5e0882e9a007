// Generated actions: what a clip shows, what frames outside the event tell, and the limits.
#include "datasets/actions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <map>

#include "datasets/open.h"
#include "tests/support/errors.h"
#include "vit/image/strip.h"

namespace datasets {
namespace {

using testing::HasSubstr;

constexpr int64_t kFrames = 8, kSide = 32;

/// Values of two frames of a clip that differ by more than the noise makes them.
int64_t changes(const ActionClip& clip, int64_t a, int64_t b) {
  constexpr int kNoise = 64;
  const vit::Image first = vit::strip_frame(clip.strip, kFrames, a), second = vit::strip_frame(clip.strip, kFrames, b);
  int64_t count = 0;
  for (int64_t i = 0; i < first.pixels.numel(); ++i) count += std::abs(first.row(0)[i] - second.row(0)[i]) > kNoise;
  return count;
}

/// Where the object is: the centre of what stands out from a frame's ground, and how much does.
struct Blob {
  double x = 0.0, y = 0.0, mass = 0.0;
};
Blob blob_of(const ActionClip& clip, int64_t frame) {
  const vit::Image picture = vit::strip_frame(clip.strip, kFrames, frame);
  Blob blob;
  for (int64_t y = 0; y < kSide; ++y)
    for (int64_t x = 0; x < kSide; ++x) {
      const uint8_t* pixel = picture.row(y) + 3 * x;
      if (std::max({pixel[0], pixel[1], pixel[2]}) < 130) continue;
      blob.x += static_cast<double>(x);
      blob.y += static_cast<double>(y);
      blob.mass += 1.0;
    }
  blob.x /= std::max(1.0, blob.mass);
  blob.y /= std::max(1.0, blob.mass);
  return blob;
}

/// The first `count` clips of an action.
std::vector<ActionClip> clips_of(Action action, size_t count) {
  std::vector<ActionClip> clips;
  for (int64_t index = 0; clips.size() < count; ++index)
    if (action_of(3, index) == action) clips.push_back(draw_action(3, index, kFrames, kSide));
  return clips;
}

TEST(Actions, ObjectsDoWhatTheirClassSays) {
  // How x, y and size change from the first to the last frame of the event: signs.
  const std::map<Action, std::array<int, 3>> changes = {{Action::left, {-1, 0, 0}}, {Action::right, {1, 0, 0}},
                                                        {Action::up, {0, -1, 0}},   {Action::down, {0, 1, 0}},
                                                        {Action::grows, {0, 0, 1}}, {Action::shrinks, {0, 0, -1}}};
  for (const auto& [action, signs] : changes)
    for (const ActionClip& clip : clips_of(action, 6)) {
      const Blob from = blob_of(clip, clip.event.first), to = blob_of(clip, clip.event.end - 1);
      const std::string name = action_names()[static_cast<size_t>(action)];
      if (signs[0] != 0) {
        EXPECT_GT(signs[0] * (to.x - from.x), 7.0) << name;
      }
      if (signs[1] != 0) {
        EXPECT_GT(signs[1] * (to.y - from.y), 7.0) << name;
      }
      if (signs[2] != 0) {
        EXPECT_GT(signs[2] * (to.mass - from.mass), 0.0) << name;
      }
    }
}

TEST(Actions, NothingIsSeenOutsideTheEvent) {
  for (int64_t index = 0; index < 40; ++index) {
    const ActionClip clip = draw_action(4, index, kFrames, kSide);
    int64_t rest = -1;
    for (int64_t t = 0; t < kFrames; ++t) {
      if (clip.event.contains(t)) continue;
      if (rest >= 0) {
        EXPECT_EQ(changes(clip, rest, t), 0) << "clip " << index << ": noise only";
      }
      rest = t;
    }
    EXPECT_GE(clip.event.count(), 4);
    EXPECT_LE(clip.event.count(), 5);
    EXPECT_GE(rest, 0) << "some frames are outside";
    EXPECT_GT(changes(clip, rest, clip.event.first), 0) << "clip " << index;
  }
}

TEST(Actions, AFunctionOfSeedAndIndex) {
  const ActionClip clip = draw_action(5, 17, kFrames, kSide), again = draw_action(5, 17, kFrames, kSide);
  const auto bytes = static_cast<size_t>(clip.strip.pixels.numel());
  EXPECT_EQ(std::memcmp(clip.strip.row(0), again.strip.row(0), bytes), 0);
  EXPECT_NE(std::memcmp(clip.strip.row(0), draw_action(6, 17, kFrames, kSide).strip.row(0), bytes), 0);
  const ActionsDataset data(5, 20, kFrames, kSide);
  EXPECT_EQ(std::memcmp(clip.strip.row(0), data.load(17).row(0), bytes), 0);
  EXPECT_EQ(data.label(17), static_cast<int64_t>(clip.action));
  EXPECT_EQ(data.event(17).first, clip.event.first);
  EXPECT_EQ(data.source(17), "actions:5:17:8:32");
  EXPECT_EQ(data.load(17).height(), kFrames * kSide);
}

TEST(Actions, AllClassesAndPlacesInTimeOccur) {
  std::map<Action, int64_t> classes;
  std::map<int64_t, int64_t> starts;
  for (int64_t index = 0; index < 800; ++index) {
    ++classes[action_of(1, index)];
    ++starts[action_event(1, index, kFrames).first];
  }
  ASSERT_EQ(classes.size(), 8u);
  for (const auto& [action, count] : classes) EXPECT_GT(count, 60) << static_cast<int>(action);
  EXPECT_EQ(starts.size(), 5u);
}

TEST(Actions, OpenedByName) {
  const OpenedDataset opened = open_dataset("actions:7:12:4:16", {});
  EXPECT_EQ(opened.data->size(), 12);
  EXPECT_EQ(opened.format, "actions");
  EXPECT_EQ(opened.data->class_names().at(0), "moves left");
  EXPECT_EQ(opened.data->load(0).height(), 64);
  EXPECT_EQ(open_actions("actions:7:12:8")->side(), kDefaultActionSide);
  EXPECT_EQ(open_actions("actions:7:12:8")->frames(), 8);
}

TEST(Actions, RefusedNames) {
  const auto refused = [](const std::string& spec) { return vit::test::usage_error([&] { open_actions(spec); }); };
  EXPECT_THAT(refused("actions:7:100"), HasSubstr("expected actions:SEED:COUNT:FRAMES[:SIDE]"));
  EXPECT_THAT(refused("actions:7:a:8"), HasSubstr("such as actions:7:100:8"));
  EXPECT_THAT(refused("actions:7:0:8"), HasSubstr("clips, got 0"));
  EXPECT_THAT(refused("actions:7:5:3"), HasSubstr("4 to 256 frames, got 3"));
  EXPECT_THAT(refused("actions:7:5:8:8"), HasSubstr("16 to 512 pixels"));
  EXPECT_THAT(vit::test::failure([] { ActionsDataset(1, 2, 8).load(2); }), HasSubstr("an index from 0 to 1, got 2"));
}

}  // namespace
}  // namespace datasets
