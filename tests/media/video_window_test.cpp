// Windows without a display: refused before a window toolkit could end the process; shown on none where one is chosen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/env.h"
#include "tests/support/errors.h"
#include "tests/support/film.h"
#include "vit/media/video.h"

namespace vit {
namespace {

using test::ScopedEnv;
using test::usage_error;
using ::testing::HasSubstr;

TEST(VideoWindow, NeedsADisplay) {
  const ScopedEnv platform("QT_QPA_PLATFORM", std::nullopt);
  const ScopedEnv display("DISPLAY", std::nullopt);
  EXPECT_THAT(usage_error([] { VideoWindow("frames"); }), HasSubstr("there is no display"));
}

TEST(VideoWindow, NeedsADisplayThatAnswers) {
  const ScopedEnv platform("QT_QPA_PLATFORM", std::nullopt);
  for (const char* name : {":4711", "unix:4711.0", "nonsense"}) {
    const ScopedEnv display("DISPLAY", name);
    EXPECT_THAT(usage_error([] { VideoWindow("frames"); }), HasSubstr("nothing answers at the display")) << name;
  }
}

// In a process of its own: Qt leaves threads and fonts behind.
TEST(VideoWindowDeathTest, ShowsFramesOfAnySize) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        const ScopedEnv platform("QT_QPA_PLATFORM", "offscreen");
        VideoWindow window("frames");
        const bool open = window.show(test::numbered_frame(1)) && window.show(test::numbered_frame(2, 96, 32));
        _exit(open ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace vit
