// The backbone of a detector from its configuration: any model of the toolkit that offers feature maps.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vit/core/config_node.h"
#include "vit/models/backbone.h"

namespace detection {

/// `node` as a file of configs/model has it; it is built without a head, for images of that size. Errors (usage), at
/// the node's place: nothing there, an unknown type, a model without feature maps.
std::unique_ptr<vit::Backbone> build_backbone(const vit::ConfigNode& node, std::array<int64_t, 2> img_size);

/// The maps of a backbone by their numbers in features(). Errors (usage): none wanted, a number that is not there, not
/// from fine to coarse.
std::vector<size_t> wanted_maps(const vit::Backbone& backbone, const std::vector<int64_t>& numbers);

}  // namespace detection
