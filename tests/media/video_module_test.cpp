// What FFmpeg, videoio and the window toolkit bring is loaded by nothing but a video, a camera, a window.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/film.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

/// Which of these are mapped into this process.
std::vector<std::string> loaded(const std::vector<std::string>& libraries) {
  std::ifstream maps("/proc/self/maps");
  std::ostringstream text;
  text << maps.rdbuf();
  std::vector<std::string> found;
  for (const std::string& library : libraries)
    if (text.str().find("/" + library) != std::string::npos) found.push_back(library);
  return found;
}

const std::vector<std::string>& heavy() {
  static const std::vector<std::string> libraries = {"libavcodec",        "libavformat",       "libopencv_core",
                                                     "libopencv_videoio", "libopencv_highgui", "libQt5Core"};
  return libraries;
}

/// 0: a film loads FFmpeg, and no other of the heavy libraries.
int load_for_a_film() {
  const bool nothing_before = loaded(heavy()).empty();
  const test::TempDir dir;
  test::read_all(test::write_film(dir / "film.mp4", 2));
  return nothing_before && loaded(heavy()) == std::vector<std::string>{"libavcodec", "libavformat"} ? 0 : 1;
}

// In a process of its own, because other tests open films.
TEST(VideoModuleDeathTest, AFilmLoadsFfmpegAlone) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(_exit(load_for_a_film()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace vit
