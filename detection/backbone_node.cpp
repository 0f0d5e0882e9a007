#include "detection/backbone_node.h"

#include "vit/core/config.h"
#include "vit/models/build.h"

namespace detection {

std::unique_ptr<vit::Backbone> build_backbone(const vit::ConfigNode& node, std::array<int64_t, 2> img_size) {
  if (node.is_null())
    vit::fail_usage("a detector needs a `backbone`: a map with `type` and its options, as the files of configs/model");
  if (!node.is_map()) node.refuse(vit::str("expected a map with `type` and its options, got ", node.description()));
  const vit::ConfigNode sized = node.with("img_size", vit::write_config(img_size))
                                    .with("num_classes", vit::ConfigNode::make_scalar("0", false, node.place()));
  std::unique_ptr<vit::ImageModel> model = vit::build_model(sized, "backbone");
  auto* backbone = dynamic_cast<vit::Backbone*>(model.get());
  if (!backbone)
    node.refuse("a model of this type has no feature maps for a detector; a `resnet`, `swin` or `davit` has");
  static_cast<void>(model.release());
  return std::unique_ptr<vit::Backbone>(backbone);
}

std::vector<size_t> wanted_maps(const vit::Backbone& backbone, const std::vector<int64_t>& numbers) {
  if (numbers.empty()) vit::fail_usage("`backbone_maps` must name at least one map");
  const std::vector<vit::FeatureInfo> infos = backbone.features();
  std::vector<size_t> wanted;
  for (const int64_t number : numbers) {
    if (number < 0 || number >= static_cast<int64_t>(infos.size()))
      vit::fail_usage("`backbone_maps` names map ", number, "; the backbone has ", infos.size(),
                      " maps, counted from 0");
    if (!wanted.empty() && wanted.back() >= static_cast<size_t>(number))
      vit::fail_usage("`backbone_maps` must go from fine to coarse, each map once");
    wanted.push_back(static_cast<size_t>(number));
  }
  return wanted;
}

}  // namespace detection
