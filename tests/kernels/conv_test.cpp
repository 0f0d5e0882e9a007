// Convolutions without im2col: against the definition of a convolution, written as loops over a padded picture.
#include "tests/kernels/guarded.h"
#include "vit/core/check.h"
#include "vit/kernels/conv_offsets.h"
#include "vit/kernels/winograd.h"

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

/// A 3 x 3 convolution of stride 1 by Winograd's algorithm: operands, and the weight packed for a table.
struct WinogradProblem {
  ConvCase c;
  Guarded x, weight, bias, residual;

  WinogradProblem(int64_t height, int64_t width, int64_t channels, int64_t pad, int64_t batch, int64_t outputs)
      : c(conv_case(height, width, channels, 3, 1, pad, 1, batch, outputs)),
        x(1, batch * height * width * channels),
        weight(outputs, 9 * channels),
        bias(1, outputs),
        residual(batch * c.g.out_h() * c.g.out_w(), outputs, 2) {
    x.randomize(1);
    weight.randomize(2);
    bias.randomize(3);
    residual.randomize(4);
  }

  int64_t outputs() const { return c.out_channels; }
  int64_t tiles() const { return c.batch * ((c.g.out_h() + 1) / 2) * ((c.g.out_w() + 1) / 2); }

  void run(const KernelTable& table, Guarded& y, Epilogue epilogue, const std::vector<GemmPart>& parts) const {
    const int64_t channels = c.g.channels, matrix = packed_size(table, outputs(), channels);
    Guarded ordered(outputs(), 9 * channels), transformed(outputs(), kWinogradPlaces * channels),
        packed(1, kWinogradPlaces * matrix, 0, true), workspace(1, table.winograd_workspace_size(channels), 0, true);
    reorder(weight, 9, ordered);
    winograd_weights(transformed.data(), ordered.data(), outputs(), channels);
    for (int64_t place = 0; place < kWinogradPlaces; ++place)
      table.pack_b(packed.data() + place * matrix, transformed.data() + place * channels, transformed.stride(), 1,
                   outputs(), channels, 0, panel_count(table, outputs()));
    WinogradArgs args;
    args.c = y.data();
    args.c_stride = y.stride();
    args.images = x.data();
    args.height = c.g.height;
    args.width = c.g.width;
    args.channels = channels;
    args.padding = c.g.pad_top;
    args.weight = packed.data();
    args.n = outputs();
    args.epilogue = epilogue;
    for (const GemmPart& part : parts) table.conv_winograd(args, workspace.data(), part);
    EXPECT_TRUE(workspace.untouched_outside());
  }

  /// The transforms add up to four pixels and nine products: their rounding is that of a few longer sums.
  double tolerance(int64_t n) const {
    const int64_t k = 9 * c.g.channels;
    return 4.0 * dot_tolerance(k, 3.0 * std::sqrt(static_cast<double>(k)), 1.0 + norm(weight.row(n), k));
  }
};

TEST_P(ConvTest, WinogradMatchesTheDefinitionOfAConvolution) {
  const int64_t cases[][6] = {{5, 7, 3, 1, 2, 17},  {9, 8, 16, 1, 1, 70}, {1, 1, 5, 1, 3, 9},    {12, 11, 4, 2, 1, 33},
                              {3, 4, 33, 0, 2, 16}, {2, 6, 1, 1, 1, 1},   {17, 22, 70, 1, 1, 40}};
  for (const auto& [height, width, channels, pad, batch, outputs] : cases) {
    SCOPED_TRACE(testing::Message() << height << " x " << width << " x " << channels << " -> " << outputs);
    const WinogradProblem p(height, width, channels, pad, batch, outputs);
    Guarded y(p.residual.rows(), outputs, 3), expected(p.residual.rows(), outputs, 3);
    const int64_t panels = panel_count(table(), outputs), cut = p.tiles() / 2 + 1;
    p.run(table(), y, {}, {{0, cut, 0, panels}, {cut, p.tiles(), 0, panels}});
    Guarded x(batch, height * width * channels);
    std::copy_n(p.x.data(), p.x.cols(), x.data());
    convolve(p.c, x, p.weight, expected);
    expect_near(y, expected, [&](int64_t, int64_t n) { return p.tolerance(n); });
    p.run(oracle(), expected, {}, {{0, p.tiles(), 0, panel_count(oracle(), outputs)}});
    expect_near(y, expected, [&](int64_t, int64_t n) { return p.tolerance(n); });
  }
}

TEST_P(ConvTest, WinogradFinishesAsProductsDoWhateverTheParts) {
  const WinogradProblem p(7, 10, 20, 1, 2, 83);
  const int64_t panels = panel_count(table(), 83);
  Epilogue epilogue;
  epilogue.bias = p.bias.data();
  epilogue.activation = Activation::relu;
  epilogue.residual = p.residual.data();
  epilogue.residual_stride = p.residual.stride();
  epilogue.residual_first = true;
  Guarded y(p.residual.rows(), 83), in_parts(p.residual.rows(), 83, 2), expected(p.residual.rows(), 83);
  p.run(table(), y, epilogue, {{0, p.tiles(), 0, panels}});
  p.run(oracle(), expected, epilogue, {{0, p.tiles(), 0, panel_count(oracle(), 83)}});
  expect_near(y, expected, [&](int64_t, int64_t n) { return p.tolerance(n); });
  // Tile by tile and panel by panel, in place.
  in_parts.copy_from(p.residual);
  epilogue.residual = in_parts.data();
  std::vector<GemmPart> parts;
  for (int64_t tile = 0; tile < p.tiles(); ++tile)
    for (int64_t panel = 0; panel < panels; ++panel) parts.push_back({tile, tile + 1, panel, panel + 1});
  p.run(table(), in_parts, epilogue, parts);
  expect_near(in_parts, y, [](int64_t, int64_t) { return 0.0; });
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
