#include "datasets/spec_numbers.h"

#include <charconv>

namespace datasets {

std::optional<std::vector<uint64_t>> spec_numbers(const std::string& text) {
  std::vector<uint64_t> numbers;
  const char* at = text.data();
  const char* end = at + text.size();
  for (;;) {
    uint64_t value = 0;
    const auto [rest, error] = std::from_chars(at, end, value);
    if (error != std::errc()) return std::nullopt;
    numbers.push_back(value);
    if (rest == end) return numbers;
    if (*rest != ':') return std::nullopt;
    at = rest + 1;
  }
}

}  // namespace datasets
