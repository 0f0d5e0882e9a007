// Writes small tar archives, with the extensions that readers have to know.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace vit::test {

/// A header block with a right checksum.
inline std::string tar_header(const std::string& name, uint64_t size, char type = '0') {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  const auto put = [&](size_t at, const char* format, uint64_t value) {
    std::array<char, 16> text{};
    const int count = std::snprintf(text.data(), text.size(), format, static_cast<unsigned long long>(value));
    block.replace(at, static_cast<size_t>(count), text.data());
  };
  put(100, "%07llo", 0644);
  put(124, "%011llo", size);
  block[156] = type;
  block.replace(257, 8, std::string("ustar\00000", 8));
  block.replace(148, 8, "        ");
  uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, "%06llo", sum);
  block[154] = '\0';
  return block;
}

inline std::string tar_padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512);
  return content;
}

inline std::string tar_member(const std::string& name, const std::string& content, char type = '0') {
  return tar_header(name, content.size(), type) + tar_padded(content);
}

/// A pax record "LENGTH KEY=VALUE\n".
inline std::string pax_record(const std::string& key, const std::string& value) {
  const size_t bare = key.size() + value.size() + 3;
  size_t length = bare + std::to_string(bare).size();
  if (std::to_string(length).size() > std::to_string(bare).size()) ++length;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

/// An archive of plain files, with the two blocks at its end.
inline std::string make_tar(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string archive;
  for (const auto& [name, content] : files) archive += tar_member(name, content);
  return archive + std::string(1024, '\0');
}

}  // namespace vit::test
