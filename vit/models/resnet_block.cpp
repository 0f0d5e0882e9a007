#include "vit/models/resnet_block.h"

#include <utility>

#include "vit/autograd/gate_ops.h"
#include "vit/autograd/map_ops.h"
#include "vit/nn/layout.h"

namespace vit {

const std::vector<std::pair<ResNetBlockKind, std::string>>& enum_names(ResNetBlockKind) {
  static const std::vector<std::pair<ResNetBlockKind, std::string>> names = {
      {ResNetBlockKind::basic, "basic"}, {ResNetBlockKind::bottleneck, "bottleneck"}};
  return names;
}

namespace {

Conv2dOptions three_by_three(int64_t stride, int64_t dilation, int64_t groups = 1) {
  return {.kernel_h = 3, .kernel_w = 3, .stride = stride, .padding = dilation, .dilation = dilation, .groups = groups};
}

}  // namespace

ResNetBlock::ResNetBlock(const ResNetBlockOptions& options, std::unique_ptr<Attention> attention)
    : options_(options), attention_(std::move(attention)) {
  add_convs();
  if (attention_) add_module("se", *attention_);
  if (options.project || options.stride != 1 || options.inputs != options.outputs) add_downsample();
}

void ResNetBlock::add_convs() {
  const ResNetBlockOptions& o = options_;
  // What pools after the convolution moves its stride there.
  const int64_t stride = o.aa ? 1 : o.stride;
  std::vector<Conv2d::Options> convs;
  if (o.kind == ResNetBlockKind::basic)
    convs = {unbiased(o.inputs, o.first_planes, three_by_three(stride, o.first_dilation)),
             unbiased(o.first_planes, o.outputs, three_by_three(1, o.dilation))};
  else
    convs = {
        unbiased(o.inputs, o.first_planes, {.stride = o.stride_first ? stride : 1}),
        unbiased(o.first_planes, o.width, three_by_three(o.stride_first ? 1 : stride, o.first_dilation, o.cardinality)),
        unbiased(o.width, o.outputs)};
  for (size_t i = 0; i < convs.size(); ++i)
    add_module("", convs_.emplace_back(ConvNormOptions{.conv = convs[i],
                                                       .conv_name = str("conv", i + 1),
                                                       .norm_name = str("bn", i + 1),
                                                       .norm = o.norm,
                                                       .frozen = o.frozen_norm,
                                                       .zero_init = o.zero_init_last && i + 1 == convs.size()}));
}

void ResNetBlock::add_downsample() {
  const ResNetBlockOptions& o = options_;
  const bool plain = o.avg_down || (o.stride == 1 && o.dilation == 1) || o.down_kernel_size == 1;
  const int64_t kernel = plain ? 1 : o.down_kernel_size, dilation = kernel > 1 ? o.first_dilation : 1;
  const int64_t stride = o.avg_down ? 1 : o.stride;
  const Conv2dOptions conv{.kernel_h = kernel,
                           .kernel_w = kernel,
                           .stride = stride,
                           .padding = (stride - 1 + dilation * (kernel - 1)) / 2,
                           .dilation = dilation};
  add_module("downsample", downsample_.emplace(ConvNormOptions{.conv = unbiased(o.inputs, o.outputs, conv),
                                                               .conv_name = o.avg_down ? "1" : "0",
                                                               .norm_name = o.avg_down ? "2" : "1",
                                                               .norm = o.norm,
                                                               .frozen = o.frozen_norm}));
}

Var ResNetBlock::branch(Context& ctx, const Var& x) const {
  Var y = x;
  for (size_t i = 0; i + 1 < convs_.size(); ++i) y = convs_[i].forward(ctx, y, options_.act);
  return options_.aa && options_.stride > 1 ? avg_pool2d(ctx, y, {.kernel = options_.stride, .stride = options_.stride})
                                            : y;
}

Var ResNetBlock::shortcut(Context& ctx, Var x) const {
  if (!downsample_) return x;
  Var pooled = x;
  if (options_.avg_down && options_.dilation > 1)  // timm's AvgPool2dSame: the border's zeros count
    pooled = avg_pool2d(ctx, pad_map(ctx, x, {.bottom = 1, .right = 1}), {.kernel = 2, .stride = 1});
  else if (options_.avg_down && options_.stride > 1)
    pooled =
        avg_pool2d(ctx, x, {.kernel = 2, .stride = options_.stride, .ceil_mode = true, .count_include_pad = false});
  return downsample_->forward(ctx, pooled);
}

Var ResNetBlock::attend(Context& ctx, const Var& x, const Var& residual) const {
  Scope scope(ctx, "se");
  const Grid grid{x.size(1), x.size(2)};
  const auto tokens = [&](const Var& map) { return reshape(ctx, map, {map.size(0), grid.count(), map.size(3)}); };
  observe_layout(ctx, 0, grid);
  AttentionInput input{.grid = grid};
  if (residual.defined()) input.residual.residual = tokens(residual);
  return reshape(ctx, attention_->forward(ctx, tokens(x), input), x.shape());
}

Var ResNetBlock::forward(Context& ctx, Var x) const {
  const Var y = branch(ctx, x);
  Var skip = shortcut(ctx, std::move(x));
  const bool dropping = ctx.training && drop_path_ > 0.0f;
  if (!attention_ && !dropping) return convs_.back().forward_add(ctx, y, std::move(skip), options_.act);
  Var mixed = convs_.back().forward(ctx, y);
  if (!dropping) return activate_in_place(ctx, attend(ctx, mixed, skip), options_.act);
  // What is dropped is the branch, so the skip connection is added afterwards.
  if (attention_) mixed = attend(ctx, mixed, {});
  return activate(ctx, drop_path(ctx, skip, mixed, drop_path_), options_.act);
}

}  // namespace vit
