// The dimensions of a ResNet from the shapes of its tensors.
#include <algorithm>

#include "vit/models/resnet.h"

namespace vit {

namespace {

/// Tensors behind a prefix.
struct Tensors {
  const Weights& weights;
  const std::string& prefix;

  bool has(const std::string& name) const { return weights.contains(prefix + name); }
  /// Extent of a tensor's axis. Errors (usage): no such tensor, or one of another rank.
  int64_t extent(const std::string& name, int rank, int axis) const {
    const TensorInfo* info = weights.find(prefix + name);
    if (!info) fail_usage(weights.path().string(), ": no tensor ", prefix, name, "; is this a ResNet's checkpoint?");
    if (info->shape.rank() != rank)
      fail_usage(weights.path().string(), ": ", prefix, name, " must have ", rank, " axes, got ", info->shape);
    return info->shape[axis];
  }
  int64_t outputs(const std::string& conv) const { return extent(conv + ".weight", 4, 0); }
  int64_t inputs(const std::string& conv) const { return extent(conv + ".weight", 4, 1); }
};

void read_stem(const Tensors& tensors, ResNetConfig& config) {
  const bool deep = tensors.has("conv1.0.weight");
  config.in_chans = tensors.inputs(deep ? "conv1.0" : "conv1");
  config.stem_channels = tensors.outputs(deep ? "conv1.6" : "conv1");
  config.stem_type = ResNetStem::plain;
  if (deep) {
    config.stem_width = tensors.outputs("conv1.3");
    config.stem_type = tensors.outputs("conv1.0") == config.stem_width ? ResNetStem::deep : ResNetStem::deep_tiered;
  }
  config.replace_stem_pool = tensors.has("maxpool.0.weight");
}

}  // namespace

ResNetConfig resnet_config_from_weights(const Weights& weights, const std::string& prefix, ResNetConfig config) {
  const Tensors tensors{weights, prefix};
  tensors.outputs("layer1.0.conv1");
  read_stem(tensors, config);
  const bool bottleneck = tensors.has("layer1.0.conv3.weight");
  config.block = bottleneck ? ResNetBlockKind::bottleneck : ResNetBlockKind::basic;
  config.layers.clear();
  config.channels.clear();
  config.avg_down = false;
  config.down_kernel_size = 1;
  for (size_t s = 1; tensors.has(str("layer", s, ".0.conv1.weight")); ++s) {
    int64_t count = 1;
    while (tensors.has(str("layer", s, ".", count, ".conv1.weight"))) ++count;
    const std::string first = str("layer", s, ".0.");
    config.layers.push_back(count);
    config.channels.push_back(tensors.outputs(first + (bottleneck ? "conv3" : "conv2")) / expansion_of(config.block));
    // An averaged shortcut has its pooling in front.
    config.avg_down = config.avg_down || tensors.has(first + "downsample.2.weight");
    // The first stage's shortcut has a kernel of 1 whatever the others have.
    if (tensors.has(first + "downsample.0.weight"))
      config.down_kernel_size = std::max(config.down_kernel_size, tensors.extent(first + "downsample.0.weight", 4, 2));
  }
  config.block_reduce_first =
      tensors.outputs("layer1.0.conv2") / std::max<int64_t>(1, tensors.outputs("layer1.0.conv1"));
  if (bottleneck) {
    const int64_t width = tensors.outputs("layer1.0.conv2");
    config.cardinality = tensors.outputs("layer1.0.conv1") / std::max<int64_t>(1, tensors.inputs("layer1.0.conv2"));
    config.base_width = width * 64 / std::max<int64_t>(1, config.channels[0] * config.cardinality);
  }
  config.num_classes = tensors.has("fc.weight") ? tensors.extent("fc.weight", 2, 0) : 0;
  return config;
}

}  // namespace vit
