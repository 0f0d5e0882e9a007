#include "vit/train/event_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <ctime>

#include "tests/support/temp_dir.h"
#include "vit/train/events.pb.h"

namespace vit {
namespace {

using test::slurp;
using test::TempDir;

/// The events of a file, by the format's definition; the test fails where a length or CRC is wrong.
std::vector<events::Event> read_events(const std::filesystem::path& path) {
  const std::string bytes = slurp(path);
  std::vector<events::Event> found;
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t length = 0;
    uint32_t length_crc = 0, data_crc = 0;
    if (bytes.size() - at < 16) break;
    std::memcpy(&length, &bytes[at], 8);
    std::memcpy(&length_crc, &bytes[at + 8], 4);
    EXPECT_EQ(length_crc, masked_crc32c(std::string_view(bytes).substr(at, 8)));
    if (bytes.size() - at < 16 + length) break;
    const std::string data = bytes.substr(at + 12, length);
    std::memcpy(&data_crc, &bytes[at + 12 + length], 4);
    EXPECT_EQ(data_crc, masked_crc32c(data));
    EXPECT_TRUE(found.emplace_back().ParseFromString(data));
    at += 16 + length;
  }
  EXPECT_EQ(at, bytes.size()) << "bytes that are no record";
  return found;
}

TEST(EventFile, Crc32c) {
  // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(masked_crc32c(""), 0xa282ead8u);
}

TEST(EventFile, ScalarsComeBack) {
  const TempDir dir;
  std::filesystem::path path;
  {
    EventFile file(dir.path(), 7);
    path = file.path();
    file.add(8, {{"loss/train", 0.5}, {"lr", 1e-3}});
    file.add(9, {{"loss/train", -0.25}});
  }
  EXPECT_TRUE(path.filename().string().starts_with("events.out.tfevents."));
  const auto events = read_events(path);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[1].session_log().status(), events::SessionLog::START);
  EXPECT_EQ(events[1].step(), 7) << "what was logged later than the checkpoint is forgotten";
  ASSERT_EQ(events[2].summary().value_size(), 2);
  EXPECT_EQ(events[2].step(), 8);
  EXPECT_EQ(events[2].summary().value(0).tag(), "loss/train");
  EXPECT_EQ(events[2].summary().value(0).simple_value(), 0.5f);
  EXPECT_EQ(events[2].summary().value(1).simple_value(), 1e-3f);
  EXPECT_EQ(events[3].summary().value(0).simple_value(), -0.25f);
  EXPECT_NEAR(events[3].wall_time(), static_cast<double>(std::time(nullptr)), 60.0);
}

TEST(EventFile, EveryStartHasAFileOfItsOwn) {
  const TempDir dir;
  const EventFile first(dir.path(), 0), second(dir.path(), 0);
  EXPECT_NE(first.path(), second.path());
  EXPECT_EQ(dir.entries().size(), 2u);
}

}  // namespace
}  // namespace vit
