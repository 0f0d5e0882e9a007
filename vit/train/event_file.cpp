#include "vit/train/event_file.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "vit/train/events.pb.h"

namespace vit {

namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "event records are written as they lie in memory");

constexpr uint32_t kCastagnoli = 0x82f63b78;  // the polynomial, bits reversed
constexpr const char* kFileVersion = "brain.Event:2";

std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kCastagnoli : 0);
    table[byte] = crc;
  }
  return table;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// A name that no file of the folder has; TensorBoard reads files in the order of their names.
fs::path new_file_name(const fs::path& folder) {
  const std::string name = "events.out.tfevents." + std::to_string(static_cast<int64_t>(seconds_since_1970())) +
                           ".vitkit." + std::to_string(getpid());
  for (int attempt = 0;; ++attempt) {
    const fs::path path = folder / (attempt == 0 ? name : name + "." + std::to_string(attempt));
    if (!fs::exists(path)) return path;
  }
}

std::string as_record(events::Event event, int64_t step) {
  event.set_wall_time(seconds_since_1970());
  event.set_step(step);
  const std::string data = event.SerializeAsString();
  const uint64_t length = data.size();
  std::string length_bytes(sizeof(length), '\0');
  std::memcpy(length_bytes.data(), &length, sizeof(length));
  const auto crc_bytes = [](const std::string& bytes) {
    const uint32_t crc = masked_crc32c(bytes);
    std::string text(sizeof(crc), '\0');
    std::memcpy(text.data(), &crc, sizeof(crc));
    return text;
  };
  return length_bytes + crc_bytes(length_bytes) + data + crc_bytes(data);
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = crc_table();
  uint32_t crc = ~uint32_t{0};
  for (const char c : bytes) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

uint32_t masked_crc32c(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

EventFile::EventFile(const fs::path& folder, int64_t first_step) : file_(new_file_name(folder), true) {
  events::Event version, start;
  version.set_file_version(kFileVersion);
  start.mutable_session_log()->set_status(events::SessionLog::START);
  file_.append(as_record(version, 0) + as_record(start, first_step));
}

void EventFile::add(int64_t step, const std::vector<Scalar>& scalars) {
  events::Event event;
  for (const auto& [tag, value] : scalars) {
    events::Summary::Value* entry = event.mutable_summary()->add_value();
    entry->set_tag(tag);
    entry->set_simple_value(static_cast<float>(value));
  }
  file_.append(as_record(std::move(event), step));
}

}  // namespace vit
