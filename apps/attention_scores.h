// Pictures of what attention mechanisms look at, drawn by the mechanisms themselves: `vitkit info --attention NAME
// --scores FILE.png`, and docs/attention_zoo.md.
#pragma once

#include <cstdint>
#include <memory>

#include "vit/core/config_node.h"
#include "vit/image/image.h"

namespace vit {
class Attention;
}

namespace apps {

/// A mechanism with options in the place that draw_attention has for it. Errors (usage): as build_attention.
std::unique_ptr<vit::Attention> build_for_picture(const vit::ConfigNode& mechanism);

/// Runs one mechanism with random weights on the 8 x 8 patches of a generated scene and draws what it offers to
/// observers: its matrix of probabilities (of the first head) with three queries' shares on the grid, or its channels'
/// factors or matrix. `mechanism` is a name or a map with `type` and options. Equal seeds give equal pictures.
/// Errors (usage): as build_attention; a mechanism that offers nothing.
vit::Image draw_attention(const vit::ConfigNode& mechanism, uint64_t seed);

}  // namespace apps
