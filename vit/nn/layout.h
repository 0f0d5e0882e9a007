// What readers of scores need to know about the tokens.
#pragma once

#include "vit/nn/attention.h"

namespace vit {

/// Shows observers "layout", f32 [3]: prefix tokens, grid height, grid width. A block calls it where its mechanism
/// runs.
void observe_layout(Context& ctx, int64_t prefix_tokens, const Grid& grid);

}  // namespace vit
