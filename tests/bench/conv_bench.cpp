// ResNet-50's convolutions one by one, and those of detectors: `./run bench conv`, or conv_bench [NAME...], where a
// name is a part of a row's. One row per shape: the share of the multiply-add peak that a convolution with its folded
// norm, activation and residual reaches on one thread (in thread time, so that other programs count little) and on all
// (on the clock), then the same for a training step's gradients. The peak is measured beside each run; best of all
// runs.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "vit/autograd/tape.h"
#include "vit/core/context.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/core/timer.h"
#include "vit/kernels/kernels.h"
#include "vit/models/load.h"
#include "vit/nn/conv2d.h"

namespace {

struct Shape {
  std::string name;
  int64_t batch, side, inputs, outputs, kernel, stride, dilation;
  bool residual = false;
};

/// The different convolutions of ResNet-50 for a picture of side x side.
std::vector<Shape> resnet50(int64_t side) {
  const auto name = [side](const std::string& what) { return fmt::format("resnet50@{}/{}", side, what); };
  std::vector<Shape> shapes = {{name("stem 7x7/2"), 1, side, 3, 64, 7, 2, 1}};
  int64_t inputs = 64;
  for (int64_t stage = 1; stage <= 4; ++stage) {
    const int64_t width = 32 << stage, outputs = 4 * width, stride = stage > 1 ? 2 : 1;
    const int64_t before = side / (stage > 1 ? 1 << stage : 4), after = before / stride;
    const auto add = [&](const std::string& what, int64_t extent, int64_t in, int64_t out, int64_t kernel, int64_t step,
                         bool residual) {
      shapes.push_back({name(fmt::format("{}: {}", stage, what)), 1, extent, in, out, kernel, step, 1, residual});
    };
    add("1x1 first", before, inputs, width, 1, 1, false);
    if (stride > 1) add("3x3/2", before, width, width, 3, stride, false);
    add(fmt::format("1x1/{} shortcut", stride), before, inputs, outputs, 1, stride, false);
    add("1x1 in", after, outputs, width, 1, 1, false);
    add("3x3", after, width, width, 3, 1, false);
    add("1x1 out", after, width, outputs, 1, 1, true);
    inputs = outputs;
  }
  return shapes;
}

std::vector<Shape> all_shapes() {
  std::vector<Shape> shapes = resnet50(224);
  const std::vector<Shape> large = resnet50(640);
  shapes.insert(shapes.end(), large.begin(), large.end());
  shapes.push_back({"dc5@640/3x3 dilated", 1, 40, 512, 512, 3, 1, 2});
  shapes.push_back({"rtdetr@640/stem 3x3/2", 1, 640, 3, 32, 3, 2, 1});
  shapes.push_back({"rtdetr@640/stem 3x3", 1, 320, 32, 32, 3, 1, 1});
  shapes.push_back({"rtdetr@640/stem 3x3 wide", 1, 320, 32, 64, 3, 1, 1});
  for (const int64_t side : {80, 40, 20})
    shapes.push_back({fmt::format("rtdetr@640/csp 3x3 {}", side), 1, side, 256, 256, 3, 1, 1});
  shapes.push_back({"train/stem 3x3/2", 16, 128, 3, 24, 3, 2, 1});
  shapes.push_back({"train/16 3x3 64", 16, 64, 16, 16, 3, 1, 1});
  shapes.push_back({"train/24 3x3 64", 16, 64, 24, 24, 3, 1, 1});
  shapes.push_back({"train/48 3x3/2", 16, 64, 24, 48, 3, 2, 1});
  shapes.push_back({"train/48 3x3 32", 16, 32, 48, 48, 3, 1, 1});
  shapes.push_back({"train/96 3x3 16", 16, 16, 96, 96, 3, 1, 1});
  shapes.push_back({"train/128 3x3 16", 16, 16, 128, 128, 3, 1, 1});
  shapes.push_back({"train/64-256 1x1", 16, 32, 64, 256, 1, 1, 1});
  return shapes;
}

vit::Tensor random_tensor(const vit::Shape& shape, uint64_t stream) {
  vit::Tensor x = vit::Tensor::empty(shape);
  vit::Rng rng(1, stream);
  for (float& value : x.span<float>()) value = rng.uniform() - 0.5f;
  return x;
}

/// Seconds of this thread where it works alone, else on the clock.
double now() {
  timespec time{};
  clock_gettime(vit::num_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Of one thread, in thread time: the peak of several is as many times that, which other programs cannot disturb.
double peak_seconds_per_flop() {
  int64_t flops = 0;
  timespec begin{}, end{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  vit::kernels::kernels().fma_peak(20000, &flops);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
  const double seconds =
      static_cast<double>(end.tv_sec - begin.tv_sec) + 1e-9 * static_cast<double>(end.tv_nsec - begin.tv_nsec);
  return seconds / static_cast<double>(flops * vit::num_threads());
}

struct Share {
  double peak, milliseconds;
};

/// The best of the runs in some 0.15 seconds beside the best of the peaks.
template <class Work>
Share measure(double flops, const Work& work) {
  work();
  double best = 1e30, peak = 1e30;
  const vit::Timer all;
  for (int run = 0; run < 4 || (all.seconds() < 0.15 && run < 200); ++run) {
    peak = std::min(peak, peak_seconds_per_flop());
    const double begin = now();
    work();
    best = std::min(best, now() - begin);
  }
  return {flops * peak / best, 1e3 * best};
}

/// One convolution with random weights and what it reads.
class Case {
 public:
  explicit Case(const Shape& shape)
      : shape_(shape),
        conv_(options(shape)),
        x_(random_tensor({shape.batch, shape.side, shape.side, shape.inputs}, 1)) {
    conv_.visit_parameters(
        [](const std::string& path, vit::Parameter& parameter) { vit::initialise_parameter(path, parameter, 1); });
    const int64_t out = (shape.side + shape.stride - 1) / shape.stride;
    residual_ = random_tensor({shape.batch, out, out, shape.outputs}, 2);
    flops_ =
        2.0 * static_cast<double>(shape.batch * out * out * shape.outputs * shape.kernel * shape.kernel * shape.inputs);
  }

  /// Twice the work of a forward pass, or as much where the input is a picture.
  Share gradient() {
    vit::Context ctx;
    vit::Tape tape(ctx);
    ctx.tape = &tape;
    conv_.visit_parameters([](const std::string&, vit::Parameter& parameter) {
      parameter.value = vit::Var::leaf(parameter.value.value());
    });
    const bool picture = shape_.inputs <= 3;
    return measure((picture ? 2.0 : 3.0) * flops_, [&] {
      const vit::Var x = picture ? vit::Var(x_) : vit::Var::leaf(x_);
      tape.backward(conv_.forward(ctx, x), residual_);
    });
  }

  Share forward() {
    conv_.prepare();
    vit::Context ctx;
    const vit::LinearOptions epilogue{.activation = vit::Activation::relu,
                                      .residual = shape_.residual ? vit::Var(residual_) : vit::Var()};
    return measure(flops_, [&] { conv_.forward(ctx, x_, epilogue); });
  }

 private:
  static vit::Conv2d::Options options(const Shape& shape) {
    const int64_t reach = shape.dilation * (shape.kernel - 1);
    return {shape.inputs,
            shape.outputs,
            {.kernel_h = shape.kernel,
             .kernel_w = shape.kernel,
             .stride = shape.stride,
             .padding = reach / 2,
             .dilation = shape.dilation}};
  }

  Shape shape_;
  vit::Conv2d conv_;
  vit::Tensor x_, residual_;
  double flops_;
};

void print_row(const Shape& shape, int threads) {
  std::string row = fmt::format("{:<28} {:>4} {:>4} x {:<4} {:>5} {:>5}", shape.name, shape.batch, shape.side,
                                shape.side, shape.inputs, shape.outputs);
  const auto share = [&](int limit, Share (Case::*what)()) {
    vit::set_num_threads(limit);
    Case one(shape);
    const Share got = (one.*what)();
    row += fmt::format(" {:8.3f} {:5.1f}", got.milliseconds, 100.0 * got.peak);
  };
  for (const int limit : {1, threads}) share(limit, &Case::forward);
  if (shape.name.starts_with("train"))
    for (const int limit : {1, threads}) share(limit, &Case::gradient);
  fmt::print("{}\n", row);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> names(argv + 1, argv + argc);
  const int threads = vit::num_threads();
  fmt::print("{}, milliseconds and share of the peak in %; forward on 1 and {} threads, then forward and backward\n",
             vit::kernels::kernels().name, threads);
  for (const Shape& shape : all_shapes())
    if (names.empty() || std::any_of(names.begin(), names.end(), [&](const std::string& name) {
          return shape.name.find(name) != std::string::npos;
        }))
      print_row(shape, threads);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "conv_bench: {}\n", error.what());
  return 2;
}
