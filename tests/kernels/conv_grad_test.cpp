// Gather, scatter and the depthwise convolution's gradients over tables of offsets, against the oracle.
#include "tests/kernels/guarded.h"
#include "vit/kernels/conv_offsets.h"

namespace vit::kernels::test {
namespace {

class ConvGradTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(ConvGradTest);

ConvGeometry geometry(int64_t height, int64_t width, int64_t channels, int64_t kernel, int64_t stride, int64_t pad) {
  ConvGeometry g;
  g.height = height;
  g.width = width;
  g.channels = channels;
  g.kernel_h = g.kernel_w = kernel;
  g.stride_h = g.stride_w = stride;
  g.pad_top = g.pad_left = g.pad_bottom = g.pad_right = pad;
  return g;
}

const ConvGeometry kGeometries[] = {geometry(5, 7, 3, 3, 1, 1),  geometry(9, 8, 16, 3, 2, 1),
                                    geometry(6, 6, 5, 1, 1, 0),  geometry(8, 8, 33, 7, 4, 3),
                                    geometry(4, 3, 70, 3, 1, 1), geometry(3, 3, 1, 3, 1, 0)};
constexpr int64_t kBatch = 2;

/// Images of one geometry, their table of offsets, and rows that reach from one image into the next.
struct Problem {
  std::vector<int32_t> offsets;
  int64_t per_image, taps, channels, rows, r0, r1;
  Guarded images;
  IndirectRows a;

  explicit Problem(const ConvGeometry& g)
      : offsets(conv_offsets(g)),
        per_image(g.out_h() * g.out_w()),
        taps(g.kernel_h * g.kernel_w),
        channels(g.channels),
        rows(kBatch * per_image),
        r0(per_image / 2),
        r1(rows),
        images(kBatch, g.height * g.width * g.channels, 8),
        a{images.randomize(1).data(), images.stride(), offsets.data(), nullptr, per_image, taps, channels} {}
};

TEST_P(ConvGradTest, GatherAndScatterMatchOracle) {
  for (const ConvGeometry& g : kGeometries) {
    SCOPED_TRACE(testing::Message() << g.height << " x " << g.width << " x " << g.channels);
    const Problem p(g);
    Guarded columns(p.r1 - p.r0, p.taps * p.channels), expected(p.r1 - p.r0, p.taps * p.channels);
    columns.randomize(2);
    table().gather_rows(columns.data(), p.a, p.r0, p.r1);
    oracle().gather_rows(expected.data(), p.a, p.r0, p.r1);
    expect_near(columns, expected, [](int64_t, int64_t) { return 0.0; });
    columns.randomize(3);
    Guarded sums(kBatch, p.images.cols(), 8), expected_sums(kBatch, p.images.cols(), 8);
    sums.randomize(4);
    expected_sums.copy_from(sums);
    table().scatter_rows(sums.data(), columns.data(), p.a, p.r0, p.r1);
    oracle().scatter_rows(expected_sums.data(), columns.data(), p.a, p.r0, p.r1);
    expect_near(sums, expected_sums, [](int64_t, int64_t) { return 0.0; });
  }
}

TEST_P(ConvGradTest, DepthwiseGradMatchesOracle) {
  for (const ConvGeometry& g : kGeometries) {
    SCOPED_TRACE(testing::Message() << g.height << " x " << g.width << " x " << g.channels);
    const Problem p(g);
    Guarded weight(p.taps, p.channels), d_c(p.rows, p.channels, 3);
    weight.randomize(2);
    d_c.randomize(3);
    DepthwiseArgs args;
    args.c = d_c.data();
    args.c_stride = d_c.stride();
    args.a = p.a;
    args.weight = weight.data();
    Guarded d_weight(p.taps, p.channels), d_images(kBatch, p.images.cols(), 8);
    Guarded expected_weight(p.taps, p.channels), expected_images(kBatch, p.images.cols(), 8);
    d_weight.randomize(4);
    d_images.randomize(5);
    expected_weight.copy_from(d_weight);
    expected_images.copy_from(d_images);
    table().conv_depthwise_grad(d_weight.data(), d_images.data(), args, p.r0, p.r1);
    oracle().conv_depthwise_grad(expected_weight.data(), expected_images.data(), args, p.r0, p.r1);
    expect_near(d_weight, expected_weight, [&](int64_t, int64_t) { return rounding_tolerance(p.rows, 40.0); });
    expect_near(d_images, expected_images, [&](int64_t, int64_t) { return rounding_tolerance(p.taps, 20.0); });
    EXPECT_TRUE(d_c.untouched_outside() && weight.untouched_outside());
    // Either of them alone.
    Guarded alone(kBatch, p.images.cols(), 8), weight_alone(p.taps, p.channels);
    alone.randomize(5);
    weight_alone.randomize(4);
    table().conv_depthwise_grad(nullptr, alone.data(), args, p.r0, p.r1);
    table().conv_depthwise_grad(weight_alone.data(), nullptr, args, p.r0, p.r1);
    expect_near(alone, d_images, [](int64_t, int64_t) { return 0.0; });
    expect_near(weight_alone, d_weight, [](int64_t, int64_t) { return 0.0; });
  }
}

}  // namespace
}  // namespace vit::kernels::test
