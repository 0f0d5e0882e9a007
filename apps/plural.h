// Numbers with their words: "1 failure", "3 failures".
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace apps {

/// `many` where the word does not just take an s.
inline std::string counted(int64_t number, const std::string& one, const std::string& many = {}) {
  return fmt::format("{} {}", number, number == 1 ? one : many.empty() ? one + "s" : many);
}

}  // namespace apps
