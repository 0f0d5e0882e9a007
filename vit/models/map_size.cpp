#include "vit/models/map_size.h"

#include "vit/core/check.h"

namespace vit {

void check_map_size(const std::array<int64_t, 2>& img_size, const Grid& map, const std::string& cells) {
  constexpr int64_t kMostCells = 1 << 20;
  if (map.count() > kMostCells)
    fail_usage("img_size ", img_size[0], " x ", img_size[1], " makes ", map.count(), " ", cells, "; at most ",
               kMostCells, " are supported");
}

}  // namespace vit
