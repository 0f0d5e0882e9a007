#include "apps/saved_names.h"

#include <fmt/format.h>

#include <cctype>
#include <exception>
#include <system_error>

#include "vit/core/check.h"
#include "vit/media/video.h"

namespace apps {

namespace fs = std::filesystem;

namespace {

std::string stem_of(const std::string& source) {
  if (!vit::is_live_source(source)) return fs::path(source).stem().string();
  const size_t scheme = source.find("://");
  if (scheme == source.npos) return "camera" + source;
  std::string address = source.substr(scheme + 3);
  address = address.substr(0, address.find_first_of("?#"));
  const size_t user = address.substr(0, address.find('/')).rfind('@');  // names and passwords stay out of file names
  return as_file_name(user == address.npos ? address : address.substr(user + 1), "stream");
}

}  // namespace

std::string as_file_name(const std::string& text, const std::string& otherwise) {
  std::string name;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    const bool plain = byte >= 0x80 || std::isalnum(byte) || letter == '-' || letter == '.';
    if (plain)
      name += letter;
    else if (!name.empty() && name.back() != '_')
      name += '_';
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  return name.find_first_not_of('.') == name.npos ? otherwise : name;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) vit::fail_usage(folder.string(), ": cannot be made: ", error.message());
}

std::string SavedNames::take(const std::string& source) {
  const std::string stem = stem_of(source);
  std::string name = stem;
  for (int64_t n = 2; !taken_.insert(name).second; ++n) name = fmt::format("{}_{}", stem, n);
  return name;
}

bool attempted(const std::function<void()>& work, const std::function<void(const std::string& message)>& failed) {
  try {
    work();
    return true;
  } catch (const std::exception& error) {
    failed(error.what());
    return false;
  }
}

}  // namespace apps
