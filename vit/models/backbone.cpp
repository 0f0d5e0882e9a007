#include "vit/models/backbone.h"

#include <algorithm>

namespace vit {

std::vector<Var> Backbone::forward_maps(Context& ctx, const Var& images, const std::vector<size_t>& wanted) const {
  std::vector<Var> maps(wanted.size());
  if (wanted.empty()) return maps;
  const size_t last = *std::max_element(wanted.begin(), wanted.end()), available = features().size();
  check(last < available, info_.name, ": there is no feature map ", last, "; there are ", available);
  run_maps(ctx, images, last + 1, [&](size_t index, const Var& map) {
    for (size_t i = 0; i < wanted.size(); ++i)
      if (wanted[i] == index) maps[i] = map;
  });
  return maps;
}

}  // namespace vit
