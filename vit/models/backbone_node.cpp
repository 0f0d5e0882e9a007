#include "vit/models/backbone_node.h"

#include "vit/core/config.h"
#include "vit/models/build.h"

namespace vit {

std::unique_ptr<Backbone> build_backbone(const ConfigNode& node, std::array<int64_t, 2> img_size,
                                         const std::string& owner) {
  if (node.is_null())
    fail_usage(owner, " needs a `backbone`: a map with `type` and its options, as the files of configs/model");
  if (!node.is_map()) node.refuse(str("expected a map with `type` and its options, got ", node.description()));
  const ConfigNode sized = node.with("img_size", write_config(img_size))
                               .with("num_classes", ConfigNode::make_scalar("0", false, node.place()));
  std::unique_ptr<ImageModel> model = build_model(sized, "backbone");
  auto* backbone = dynamic_cast<Backbone*>(model.get());
  if (!backbone || backbone->features().empty())
    node.refuse(
        str("a model of this type has no feature maps for ", owner, "; a `resnet`, `swin`, `davit` or `vit` has"));
  static_cast<void>(model.release());
  return std::unique_ptr<Backbone>(backbone);
}

std::vector<size_t> wanted_maps(const Backbone& backbone, const std::vector<int64_t>& numbers) {
  if (numbers.empty()) fail_usage("`backbone_maps` must name at least one map");
  const std::vector<FeatureInfo> infos = backbone.features();
  std::vector<size_t> wanted;
  for (const int64_t number : numbers) {
    if (number < 0 || number >= static_cast<int64_t>(infos.size()))
      fail_usage("`backbone_maps` names map ", number, "; the backbone has ", infos.size(), " maps, counted from 0");
    if (!wanted.empty() && wanted.back() >= static_cast<size_t>(number))
      fail_usage("`backbone_maps` must go from fine to coarse, each map once");
    wanted.push_back(static_cast<size_t>(number));
  }
  return wanted;
}

}  // namespace vit
