#include "vit/nn/layout.h"

namespace vit {

void observe_layout(Context& ctx, int64_t prefix_tokens, const Grid& grid) {
  if (!ctx.wants("layout")) return;
  ctx.observe("layout", Tensor::from<float>({static_cast<float>(prefix_tokens), static_cast<float>(grid.height),
                                             static_cast<float>(grid.width)},
                                            {3}));
}

}  // namespace vit
