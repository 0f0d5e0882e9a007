#include "vit/autograd/conv_winograd.h"
#include "vit/core/parallel.h"
#include "vit/kernels/winograd.h"

namespace vit {

bool suits_winograd(const kernels::ConvGeometry& geometry, int64_t outputs) {
  constexpr int64_t kLeastChannels = 24;
  const auto& g = geometry;
  return g.kernel_h == 3 && g.kernel_w == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
         g.dilation_w == 1 && g.pad_top == g.pad_left && g.pad_top == g.pad_bottom && g.pad_top == g.pad_right &&
         g.channels >= kLeastChannels && outputs >= kLeastChannels;
}

void winograd_product(float* y, const Tensor& x, const PackedWeight& packed, const kernels::Epilogue& epilogue,
                      int64_t padding, const MemorySource& memory) {
  const kernels::WinogradArgs args{.c = y,
                                   .c_stride = packed.outputs(),
                                   .images = x.f32(),
                                   .height = x.size(1),
                                   .width = x.size(2),
                                   .channels = x.size(3),
                                   .padding = padding,
                                   .weight = packed.panels(),
                                   .n = packed.outputs(),
                                   .epilogue = epilogue};
  const auto& table = kernels::kernels();
  const int64_t tiles = x.size(0) * args.tiles_per_image();
  const auto grid = kernels::gemm_grid(table, tiles, args.n, kernels::kWinogradPlaces * args.channels, num_threads());
  const int64_t floats = (table.winograd_workspace_size(args.channels) + 15) / 16 * 16;
  const Tensor workspace = memory({grid.parts(), floats});
  parallel_for(grid.parts(), [&](int64_t part) {
    table.conv_winograd(args, workspace.f32() + part * floats, kernels::gemm_part(table, grid, tiles, args.n, part));
  });
}

}  // namespace vit
