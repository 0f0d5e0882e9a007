// A folder with a tiny checkpoint and a few pictures, for tests that call the command.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_checkpoint.h"

namespace vit::test {

class VerbTest : public testing::Test {
 protected:
  VerbTest() { write_tiny_checkpoint(dir_ / "model"); }

  std::string model() const { return (dir_ / "model").string(); }
  std::string path(const std::string& name) const { return (dir_ / name).string(); }
  /// A JPEG whose pixels depend on its extents.
  std::string jpeg(const std::string& name, int64_t height = 40, int64_t width = 48) const {
    return dir_.write(name, encode_jpeg(pattern(height, width))).string();
  }

  /// The lines of stdout, parsed. A line that is no JSON fails the test.
  static std::vector<nlohmann::json> records(const CommandResult& result) {
    std::vector<nlohmann::json> all;
    for (const std::string& line : result.lines()) {
      all.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false));
      EXPECT_FALSE(all.back().is_discarded()) << line;
    }
    return all;
  }

  /// Status 2, one line on stderr that contains `words`, nothing on stdout.
  static void expect_refused(const CommandResult& result, const std::string& words) {
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_THAT(result.err, testing::HasSubstr(words));
    EXPECT_EQ(result.out, "");
  }

  TempDir dir_;
};

}  // namespace vit::test
