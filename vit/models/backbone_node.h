// A backbone from a configuration: any model of the toolkit that offers feature maps, inside a detector or a captioner.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vit/core/config_node.h"
#include "vit/models/backbone.h"

namespace vit {

/// `node` as a file of configs/model has it; it is built without a head, for images of that size. `owner` is what it
/// becomes a part of, for messages: "a detector". Errors (usage), at the node's place: nothing there, an unknown type,
/// a model without feature maps.
std::unique_ptr<Backbone> build_backbone(const ConfigNode& node, std::array<int64_t, 2> img_size,
                                         const std::string& owner);

/// The maps of a backbone by their numbers in features(). Errors (usage): none wanted, a number that is not there, not
/// from fine to coarse.
std::vector<size_t> wanted_maps(const Backbone& backbone, const std::vector<int64_t>& numbers);

}  // namespace vit
