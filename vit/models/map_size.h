// The largest map that a model works on, the same for all families.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "vit/nn/attention.h"

namespace vit {

/// Errors (usage): images of img_size make a map of more than 2^20 `cells` ("patches of 16 x 16").
void check_map_size(const std::array<int64_t, 2>& img_size, const Grid& map, const std::string& cells);

}  // namespace vit
