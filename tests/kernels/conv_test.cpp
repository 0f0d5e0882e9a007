// Convolutions without im2col: against the definition of a convolution, written as loops over a padded picture.
#include "tests/kernels/guarded.h"
#include "vit/core/check.h"
#include "vit/kernels/conv_offsets.h"

namespace vit::kernels::test {
namespace {

struct ConvCase {
  ConvGeometry g;
  int64_t batch, out_channels, groups;
};

ConvCase conv_case(int64_t height, int64_t width, int64_t channels, int64_t kernel, int64_t stride, int64_t pad,
                   int64_t dilation, int64_t batch, int64_t out_channels, int64_t groups = 1) {
  ConvGeometry g;
  g.height = height;
  g.width = width;
  g.channels = channels;
  g.kernel_h = g.kernel_w = kernel;
  g.stride_h = g.stride_w = stride;
  g.pad_top = g.pad_left = g.pad_bottom = g.pad_right = pad;
  g.dilation_h = g.dilation_w = dilation;
  return {g, batch, out_channels, groups};
}

/// out [batch * out_h * out_w, n] of an NHWC convolution with torch's weight [n, channels / groups, kh, kw], in double.
void convolve(const ConvCase& c, const Guarded& x, const Guarded& weight, Guarded& y) {
  const ConvGeometry& g = c.g;
  const int64_t in_group = g.channels / c.groups, out_group = c.out_channels / c.groups;
  for (int64_t row = 0; row < y.rows(); ++row)
    for (int64_t n = 0; n < c.out_channels; ++n) {
      const int64_t ox = row % g.out_w(), oy = row / g.out_w() % g.out_h(), image = row / g.out_w() / g.out_h();
      double sum = 0.0;
      for (int64_t ky = 0; ky < g.kernel_h; ++ky)
        for (int64_t kx = 0; kx < g.kernel_w; ++kx)
          for (int64_t ch = 0; ch < in_group; ++ch) {
            const int64_t iy = oy * g.stride_h - g.pad_top + ky * g.dilation_h;
            const int64_t ix = ox * g.stride_w - g.pad_left + kx * g.dilation_w;
            if (iy < 0 || ix < 0 || iy >= g.height || ix >= g.width) continue;
            sum += static_cast<double>(x.at(image, (iy * g.width + ix) * g.channels + n / out_group * in_group + ch)) *
                   weight.at(n, (ch * g.kernel_h + ky) * g.kernel_w + kx);
          }
      y.at(row, n) = static_cast<float>(sum);
    }
}

/// torch's [n, channels, kh, kw] to the k order of conv_offsets, (ky, kx, channel).
void reorder(const Guarded& weight, int64_t taps, Guarded& y) {
  const int64_t channels = weight.cols() / taps;
  for (int64_t n = 0; n < weight.rows(); ++n)
    for (int64_t ch = 0; ch < channels; ++ch)
      for (int64_t tap = 0; tap < taps; ++tap) y.at(n, tap * channels + ch) = weight.at(n, ch * taps + tap);
}

class ConvTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(ConvTest);

TEST_P(ConvTest, ConvolutionMatchesItsDefinition) {
  const ConvCase cases[] = {
      conv_case(5, 7, 3, 3, 1, 1, 1, 2, 17), conv_case(9, 8, 16, 3, 2, 1, 1, 1, 70),
      conv_case(6, 6, 5, 1, 1, 0, 1, 3, 9),  conv_case(12, 11, 4, 3, 1, 2, 2, 1, 33),
      conv_case(8, 8, 2, 7, 4, 3, 1, 2, 16), conv_case(7, 7, 12, 3, 1, 1, 1, 2, 20, 4),
      conv_case(3, 3, 1, 3, 1, 0, 1, 1, 1),
  };
  for (const ConvCase& c : cases) {
    const ConvGeometry& g = c.g;
    const int64_t taps = g.kernel_h * g.kernel_w, rows_per_image = g.out_h() * g.out_w();
    const int64_t in_group = g.channels / c.groups, out_group = c.out_channels / c.groups, k = taps * in_group;
    SCOPED_TRACE(testing::Message() << g.height << " x " << g.width << " x " << g.channels << " kernel " << g.kernel_h);
    Guarded x(c.batch, g.height * g.width * g.channels, 8), weight(c.out_channels, k), ordered(c.out_channels, k);
    x.randomize(1);
    weight.randomize(2);
    reorder(weight, taps, ordered);
    Guarded y(c.batch * rows_per_image, c.out_channels, 3), expected(c.batch * rows_per_image, c.out_channels, 3);
    convolve(c, x, weight, expected);
    const std::vector<int32_t> offsets = conv_offsets(g);
    const std::vector<float> zeros(static_cast<std::size_t>(in_group), 0.0f);
    for (int64_t group = 0; group < c.groups; ++group) {
      Guarded packed(1, packed_size(table(), out_group, k), 0, true);
      table().pack_b(packed.data(), ordered.row(group * out_group), k, 1, out_group, k, 0,
                     panel_count(table(), out_group));
      GemmIndirectArgs args;
      args.c = y.data() + group * out_group;
      args.c_stride = y.stride();
      args.a = {x.data() + group * in_group, x.stride(), offsets.data(), zeros.data(), rows_per_image, taps, in_group};
      args.b = packed.data();
      args.n = out_group;
      // Two parts, cut across images.
      const int64_t cut = y.rows() / 2 + 1;
      table().gemm_indirect(args, {0, cut, 0, panel_count(table(), out_group)});
      table().gemm_indirect(args, {cut, y.rows(), 0, panel_count(table(), out_group)});
    }
    const double x_norm = 3.0 * std::sqrt(static_cast<double>(k));
    expect_near(y, expected, [&](int64_t, int64_t n) { return dot_tolerance(k, x_norm, norm(weight.row(n), k)); });
  }
}

TEST_P(ConvTest, PatchEmbeddingReadsThePictureInPlace) {
  const int64_t batch = 2, channels = 3, height = 30, width = 45, patch_h = 14, patch_w = 11, n = 21;
  const int64_t grid_h = height / patch_h, grid_w = width / patch_w, k = channels * patch_h * patch_w;
  Guarded images(batch, channels * height * width), weight(n, k), bias(n);
  images.randomize(1);
  weight.randomize(2);
  bias.randomize(3);
  Guarded packed(1, packed_size(table(), n, k), 0, true);
  table().pack_b(packed.data(), weight.data(), k, 1, n, k, 0, panel_count(table(), n));
  const std::vector<int32_t> offsets = patch_offsets(channels, height, width, patch_h, patch_w);
  Guarded y(batch * grid_h * grid_w, n), expected(batch * grid_h * grid_w, n);
  GemmIndirectArgs args;
  args.c = y.data();
  args.c_stride = y.stride();
  args.a = {images.data(), images.stride(), offsets.data(), nullptr, grid_h * grid_w, channels * patch_h, patch_w};
  args.b = packed.data();
  args.n = n;
  args.epilogue.bias = bias.data();
  table().gemm_indirect(args, {0, y.rows(), 0, panel_count(table(), n)});
  for (int64_t r = 0; r < y.rows(); ++r)
    for (int64_t j = 0; j < n; ++j) {
      const int64_t image = r / (grid_h * grid_w), gy = r / grid_w % grid_h, gx = r % grid_w;
      double sum = bias.at(0, j);
      for (int64_t kk = 0; kk < k; ++kk) {
        const int64_t ch = kk / (patch_h * patch_w), dy = kk / patch_w % patch_h, dx = kk % patch_w;
        sum += static_cast<double>(images.at(image, (ch * height + gy * patch_h + dy) * width + gx * patch_w + dx)) *
               weight.at(j, kk);
      }
      expected.at(r, j) = static_cast<float>(sum);
    }
  const double x_norm = 2.0 * std::sqrt(static_cast<double>(k));
  expect_near(y, expected, [&](int64_t, int64_t j) { return dot_tolerance(k, x_norm, norm(weight.row(j), k)); });
}

TEST_P(ConvTest, DepthwiseMatchesItsDefinition) {
  for (int64_t channels : {1, 15, 64, 83, 130}) {
    SCOPED_TRACE(channels);
    const ConvCase c = conv_case(6, 5, channels, 3, 1, 1, 1, 2, channels, channels);
    const int64_t taps = 9, rows_per_image = c.g.out_h() * c.g.out_w();
    Guarded x(c.batch, c.g.height * c.g.width * channels, 2), weight(channels, taps), by_tap(taps, channels),
        bias(channels);
    x.randomize(1);
    weight.randomize(2);
    bias.randomize(3);
    for (int64_t ch = 0; ch < channels; ++ch)
      for (int64_t tap = 0; tap < taps; ++tap) by_tap.at(tap, ch) = weight.at(ch, tap);
    Guarded y(c.batch * rows_per_image, channels, 1), expected(c.batch * rows_per_image, channels, 1);
    convolve(c, x, weight, expected);
    for (int64_t r = 0; r < y.rows(); ++r)
      for (int64_t ch = 0; ch < channels; ++ch) expected.at(r, ch) += bias.at(0, ch);
    const std::vector<int32_t> offsets = conv_offsets(c.g);
    DepthwiseArgs args;
    args.c = y.data();
    args.c_stride = y.stride();
    args.a = {x.data(), x.stride(), offsets.data(), nullptr, rows_per_image, taps, channels};
    args.weight = by_tap.data();
    args.epilogue.bias = bias.data();
    table().conv_depthwise(args, 0, 7);
    table().conv_depthwise(args, 7, y.rows());
    expect_near(y, expected,
                [&](int64_t, int64_t ch) { return dot_tolerance(taps, 10.0, 1.0 + norm(weight.row(ch), taps)); });
  }
}

TEST(ConvOffsetsTest, RefusesImpossibleGeometry) {
  ConvGeometry g = conv_case(4, 4, 3, 7, 1, 0, 1, 1, 1).g;
  EXPECT_THROW(conv_offsets(g), Error);  // kernel larger than the picture
  g = conv_case(4, 4, 3, 3, 0, 0, 1, 1, 1).g;
  EXPECT_THROW(conv_offsets(g), Error);  // stride of zero
  g = conv_case(65536, 65536, 3, 3, 1, 1, 1, 1, 1).g;
  EXPECT_THROW(conv_offsets(g), Error);  // offsets would not fit
  EXPECT_THROW(patch_offsets(3, 8, 8, 16, 16), Error);
  EXPECT_THROW(patch_offsets(3, 8, 8, 0, 4), Error);
}

}  // namespace
}  // namespace vit::kernels::test
