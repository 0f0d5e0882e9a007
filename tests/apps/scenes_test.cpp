#include <filesystem>

#include "datasets/box_dataset.h"
#include "datasets/open.h"
#include "detection/mot_text.h"
#include "tests/apps/verb_test.h"
#include "tests/support/env.h"
#include "vit/media/video.h"

namespace vit::test {
namespace {

namespace fs = std::filesystem;

class ScenesVerb : public VerbTest {
 protected:
  CommandResult scenes(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"scenes", path("out"), "--size", "48", "--seed", "5", "--format", "json"});
    return run_vitkit(arguments);
  }
};

TEST_F(ScenesVerb, WritesADataSetForDetectors) {
  const CommandResult result = scenes({"--count", "5", "--coco"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto written = records(result);
  ASSERT_EQ(written.size(), 5u);
  const datasets::OpenedDataset opened = datasets::open_dataset(path("out"));
  EXPECT_EQ(opened.format, "coco");
  const auto files = datasets::require_boxes(opened.data, "out");
  const auto drawn = datasets::require_boxes(datasets::open_dataset("scenes:5:5:48").data, "scenes");
  ASSERT_EQ(files->size(), 5);
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(files->source(i), written[static_cast<size_t>(i)]["source"]);
    const auto a = files->boxes(i), b = drawn->boxes(i);
    ASSERT_EQ(a.size(), b.size());
    for (size_t k = 0; k < a.size(); ++k) {
      EXPECT_EQ(a[k].box, b[k].box);
      EXPECT_EQ(a[k].label, b[k].label);
    }
  }
  // Clang 14's LeakSanitizer dies here itself, in the thread-local storage of what the codecs load.
  const ScopedEnv leaks("LSAN_OPTIONS", "detect_leaks=0");
  const CommandResult doctor = run_vitkit({"doctor", path("out")});
  EXPECT_EQ(doctor.status, 0) << doctor.out << doctor.err;
  EXPECT_THAT(doctor.out, testing::HasSubstr("box_counts"));
}

TEST_F(ScenesVerb, WritesClipsWithTracks) {
  const CommandResult result = scenes({"--clip", "6", "--video"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto written = records(result);
  ASSERT_EQ(written.size(), 1u) << "one clip unless told";
  EXPECT_EQ(written[0]["frames"], 6);
  EXPECT_TRUE(fs::exists(path("out/clip_000000/img1/000006.png")));
  vit::VideoReader film(written[0]["video"].get<std::string>());
  int64_t frames = 0;
  while (film.next().kind == vit::VideoEvent::Kind::frame) ++frames;
  EXPECT_EQ(frames, 6);
  expect_refused(scenes({"--video"}), "add --clip FRAMES");
  const auto tracks = detection::read_mot(written[0]["truth"].get<std::string>(), detection::MotKind::truth);
  const auto drawn = datasets::require_boxes(datasets::open_dataset("clips:5:1:6:48").data, "clips");
  size_t expected = 0;
  for (int64_t i = 0; i < drawn->size(); ++i) expected += drawn->boxes(i).size();
  ASSERT_EQ(tracks.size(), expected);
  EXPECT_EQ(tracks[0].frame, 1);
  EXPECT_EQ(tracks[0].track, drawn->boxes(0)[0].track + 1);
  EXPECT_EQ(tracks[0].box, drawn->boxes(0)[0].box);
}

}  // namespace
}  // namespace vit::test
