#include "vit/kernels/conv_offsets.h"

#include <cstddef>
#include <limits>
#include <list>
#include <mutex>

#include "vit/core/check.h"
#include "vit/kernels/kernels.h"

namespace vit::kernels {
namespace {

/// Offsets are 32 bits: half the memory of pointers, and no picture of a model comes near 8 GB.
void check_extent(const char* op, int64_t height, int64_t width, int64_t channels) {
  check(height > 0 && width > 0 && channels > 0, op, ": expected positive extents, got height ", height, ", width ",
        width, ", channels ", channels);
  constexpr int64_t kLimit = std::numeric_limits<int32_t>::max();
  check(height <= kLimit / width && height * width <= kLimit / channels, op,
        ": expected an image below 2^31 floats, got ", height, " x ", width, " x ", channels);
}

}  // namespace

ConvGeometry ConvGeometry::reversed(int64_t output_channels) const {
  ConvGeometry r = *this;
  r.height = out_h();
  r.width = out_w();
  r.channels = output_channels;
  r.pad_top = r.pad_bottom = dilation_h * (kernel_h - 1) - pad_top;
  r.pad_left = r.pad_right = dilation_w * (kernel_w - 1) - pad_left;
  return r;
}

void check_geometry(const ConvGeometry& g) {
  check_extent("convolution", g.height, g.width, g.channels);
  check(g.kernel_h > 0 && g.kernel_w > 0 && g.stride_h > 0 && g.stride_w > 0 && g.dilation_h > 0 && g.dilation_w > 0,
        "convolution: expected positive kernel, stride and dilation, got kernel ", g.kernel_h, " x ", g.kernel_w,
        ", stride ", g.stride_h, " x ", g.stride_w, ", dilation ", g.dilation_h, " x ", g.dilation_w);
  check(g.pad_top >= 0 && g.pad_left >= 0 && g.pad_bottom >= 0 && g.pad_right >= 0,
        "convolution: expected padding of zero or more, got top ", g.pad_top, ", left ", g.pad_left, ", bottom ",
        g.pad_bottom, ", right ", g.pad_right);
  const int64_t reach_h = g.dilation_h * (g.kernel_h - 1) + 1, reach_w = g.dilation_w * (g.kernel_w - 1) + 1;
  check(reach_h <= g.height + g.pad_top + g.pad_bottom && reach_w <= g.width + g.pad_left + g.pad_right,
        "convolution: kernel of ", reach_h, " x ", reach_w, " exceeds the padded input of ",
        g.height + g.pad_top + g.pad_bottom, " x ", g.width + g.pad_left + g.pad_right);
  check(!g.rows_as_taps || (g.dilation_w == 1 && g.pad_left == 0 && g.pad_right == 0),
        "convolution: rows as taps need dilation 1 and no padding along them");
}

std::vector<int32_t> conv_offsets(const ConvGeometry& g) {
  check_geometry(g);
  std::vector<int32_t> offsets;
  offsets.reserve(static_cast<std::size_t>(g.out_h() * g.out_w() * g.taps()));
  for (int64_t oy = 0; oy < g.out_h(); ++oy)
    for (int64_t ox = 0; ox < g.out_w(); ++ox)
      for (int64_t ky = 0; ky < g.kernel_h; ++ky)
        for (int64_t kx = 0; kx < g.taps_per_row(); ++kx) {
          const int64_t y = oy * g.stride_h - g.pad_top + ky * g.dilation_h;
          const int64_t x = ox * g.stride_w - g.pad_left + kx * g.dilation_w;
          const bool inside = y >= 0 && y < g.height && x >= 0 && x < g.width;
          offsets.push_back(inside ? static_cast<int32_t>((y * g.width + x) * g.channels) : kZeroTap);
        }
  return offsets;
}

std::shared_ptr<const std::vector<int32_t>> shared_conv_offsets(const ConvGeometry& geometry) {
  struct Entry {
    ConvGeometry geometry;
    std::shared_ptr<const std::vector<int32_t>> offsets;
  };
  constexpr std::size_t kMostOffsets = std::size_t{4} << 20;
  static std::mutex mutex;
  static std::list<Entry> recent;  // the last used first
  const std::lock_guard lock(mutex);
  for (auto entry = recent.begin(); entry != recent.end(); ++entry) {
    if (!(entry->geometry == geometry)) continue;
    recent.splice(recent.begin(), recent, entry);
    return entry->offsets;
  }
  recent.push_front({geometry, std::make_shared<const std::vector<int32_t>>(conv_offsets(geometry))});
  const auto offsets = recent.front().offsets;
  std::size_t kept = 0;
  recent.remove_if([&](const Entry& entry) { return (kept += entry.offsets->size()) > kMostOffsets; });
  return offsets;
}

std::vector<int32_t> patch_offsets(int64_t channels, int64_t height, int64_t width, int64_t patch_h, int64_t patch_w) {
  check_extent("patch_offsets", height, width, channels);
  check(patch_h > 0 && patch_w > 0 && patch_h <= height && patch_w <= width, "patch_offsets: expected a patch within ",
        height, " x ", width, ", got ", patch_h, " x ", patch_w);
  const int64_t grid_h = height / patch_h, grid_w = width / patch_w;
  std::vector<int32_t> offsets;
  offsets.reserve(static_cast<std::size_t>(grid_h * grid_w * channels * patch_h));
  for (int64_t gy = 0; gy < grid_h; ++gy)
    for (int64_t gx = 0; gx < grid_w; ++gx)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t y = 0; y < patch_h; ++y)
          offsets.push_back(static_cast<int32_t>((c * height + gy * patch_h + y) * width + gx * patch_w));
  return offsets;
}

}  // namespace vit::kernels
