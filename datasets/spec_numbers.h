// The numbers of generated data sets' names: "7:5000:96" of scenes:7:5000:96.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace datasets {

/// Whole numbers between colons; none where a part is something else.
std::optional<std::vector<uint64_t>> spec_numbers(const std::string& text);

}  // namespace datasets
