// Tables of offsets for IndirectRows (kernels.h): which pieces of a picture each output row of a convolution reads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace vit::kernels {

/// A 2-d convolution over channels-last maps [height, width, channels].
struct ConvGeometry {
  int64_t height = 0, width = 0;  ///< input extents
  int64_t channels = 0;           ///< channels of the whole map: the distance from pixel to pixel
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int64_t dilation_h = 1, dilation_w = 1;

  /// A row of the kernel is one tap, a run of kernel_w pixels, which few channels profit from. Needs dilation_w 1 and
  /// no padding on the left or the right.
  bool rows_as_taps = false;
  bool operator==(const ConvGeometry&) const = default;

  /// Where the stride is 1: the convolution that turns the gradient of the output, of so many channels, into that of
  /// the input, taps in reverse order, over a border that makes up for what is missing. Its padding may be negative:
  /// then there is none.
  ConvGeometry reversed(int64_t output_channels) const;

  int64_t taps_per_row() const { return rows_as_taps ? 1 : kernel_w; }
  int64_t taps() const { return kernel_h * taps_per_row(); }
  int64_t out_h() const { return (height + pad_top + pad_bottom - dilation_h * (kernel_h - 1) - 1) / stride_h + 1; }
  int64_t out_w() const { return (width + pad_left + pad_right - dilation_w * (kernel_w - 1) - 1) / stride_w + 1; }
};

/// Errors: vit::Error when the kernel exceeds the padded input, a stride, dilation or extent is not positive, or the
/// image has 2^31 floats or more.
void check_geometry(const ConvGeometry& geometry);

/// Offsets [out_h * out_w, taps] into one NHWC image; taps in the padding are kZeroTap. The matching
/// packed weight has k index (ky, kx, channel). Errors: as check_geometry.
std::vector<int32_t> conv_offsets(const ConvGeometry& geometry);

/// The same table, shared by the convolutions of one geometry: it takes longer to write than a small depthwise
/// convolution takes to run. The tables used last are kept, up to 16 MB. Thread-safe.
std::shared_ptr<const std::vector<int32_t>> shared_conv_offsets(const ConvGeometry& geometry);

/// Offsets [grid_h * grid_w, channels * patch_h] into one NCHW image whose patches do not overlap: each tap is a run of
/// patch_w floats, so k index = (channel, y, x), the layout of a torch conv weight [n, channels, patch_h, patch_w]. A
/// rest of height or width that fills no patch is left out, as a strided convolution does. Errors: as above.
std::vector<int32_t> patch_offsets(int64_t channels, int64_t height, int64_t width, int64_t patch_h, int64_t patch_w);

}  // namespace vit::kernels
