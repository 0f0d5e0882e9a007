// vitkit benchmark: times a model beside the processor's peak.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "apps/measure.h"
#include "apps/model_facts.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/training_step.h"
#include "apps/verbs.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/kernels/kernels.h"
#include "vit/models/build.h"

namespace apps {

namespace {

struct BenchmarkOptions {
  std::string model;
  int64_t batch_size = 1;
  std::optional<int64_t> img_size;
  std::string precision = "f32";
  int64_t runs = 20;
  bool train = false;
};

/// The stages' times on stderr, longest first, with their rates where their work is known.
void print_stages(const Step& step, const OpCosts& costs) {
  constexpr int64_t kRuns = 5;
  std::vector<vit::StageProfile::Stage> stages = profile_stages(step, kRuns);
  const auto whole = std::find_if(stages.begin(), stages.end(), [](const auto& s) { return s.name == "(whole run)"; });
  const double total = whole->seconds;
  double rest = total;
  stages.erase(whole);
  std::sort(stages.begin(), stages.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  print_error(fmt::format("{:<20} {:>6} {:>10} {:>8} {:>10}", "stage", "calls", "ms", "%", "GFLOP/s"));
  const auto row = [&](const std::string& name, int64_t calls, double seconds, double flops) {
    const std::string rate = flops > 0.0 ? fmt::format("{:.1f}", 1e-9 * flops / seconds) : "";
    print_error(fmt::format("{:<20} {:>6} {:>10.3f} {:>8.1f} {:>10}", name, calls > 0 ? fmt::to_string(calls) : "",
                            1e3 * seconds, 100.0 * seconds / total, rate));
  };
  for (const auto& stage : stages) {
    row(stage.name, stage.calls, stage.seconds, costs.flops_of(stage.name));
    rest -= stage.seconds;
  }
  row("(between stages)", 0, rest, 0.0);
  row("(whole run)", 1, total, costs.flops());
}

void write(Output& output, const BenchmarkOptions& options, int64_t params, double load_ms,
           const Measurement& measured) {
  const bool timed = !measured.seconds.empty();
  const double median_s = timed ? median(measured.seconds) : measured.first_seconds;
  const double min_s = timed ? *std::min_element(measured.seconds.begin(), measured.seconds.end()) : median_s;
  const double images_per_s = static_cast<double>(options.batch_size) / median_s;
  const double gflop = 1e-9 * measured.costs.flops(), gflops = gflop / median_s, peak = 1e-9 * median(measured.peaks);
  const double memory = peak_memory_mb();
  const Record record = {{"model", options.model},
                         {"params", params},
                         {"gflop", gflop},
                         {"batch", options.batch_size},
                         {"threads", vit::num_threads()},
                         {"precision", options.precision},
                         {"median_ms", 1e3 * median_s},
                         {"min_ms", 1e3 * min_s},
                         {"images_per_s", images_per_s},
                         {"gflops", gflops},
                         {"peak_gflops", peak},
                         {"peak_rss_mb", memory},
                         {"load_ms", load_ms},
                         {"train", options.train},
                         {"first_ms", 1e3 * measured.first_seconds},
                         {"runs", measured.seconds.size()},
                         {"isa", vit::kernels::kernels().name}};
  const std::string of_peak =
      timed ? fmt::format("{:.1f} GFLOP/s = {:.1f} % of {:.1f}", gflops, 100.0 * gflops / peak, peak)
            : fmt::format("{:.1f} GFLOP/s, first run only", gflops);
  output.write(
      record,
      fmt::format("{} batch {} {} {} threads: median {:.2f} ms, min {:.2f} ms, {:.2f} images/s, {}, {:.2f} "
                  "GFLOP, {:.1f} M parameters, peak memory {:.0f} MB, loaded in {:.0f} ms\n",
                  options.model, options.batch_size, options.precision, vit::num_threads(), 1e3 * median_s, 1e3 * min_s,
                  images_per_s, of_peak, gflop, 1e-6 * static_cast<double>(params), memory, load_ms));
}

int benchmark(const BenchmarkOptions& options, const CommonOptions& common) {
  require_model("benchmark", options.model);
  require_precision(options.precision);
  Output output(common);
  const vit::Timer loading;
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(options.model);
  vit::LoadModelOptions load{.input_size = {}, .seed = common.seed};
  if (options.train) load.purpose = vit::Purpose::training;
  if (options.img_size) load.input_size = {*options.img_size, *options.img_size};
  const std::unique_ptr<vit::ImageModel> model = vit::load_model(checkpoint, load);
  const double load_ms = loading.milliseconds();

  const vit::ModelInfo& info = model->info();
  vit::Tensor images =
      vit::Tensor::empty({options.batch_size, info.input_channels, info.input_size[0], info.input_size[1]});
  vit::Rng rng(common.seed, vit::Rng::stream_of("benchmark.images"));
  vit::fill_normal(images, rng, 1.0f);
  detail_note(common, "{} ({}), input {} x {}, {} weights, kernels: {}", options.model, info.name, info.input_size[0],
              info.input_size[1], checkpoint.has_weights() ? "the checkpoint's" : "random",
              vit::kernels::kernels().name);
  if (model->verb() == "caption")
    note(common, "{} writes captions: a run is the picture and the first word", options.model);
  std::unique_ptr<TrainingStep> training;
  if (options.train) training = std::make_unique<TrainingStep>(*model, images, common.seed);
  const Step step = [&](vit::Context& ctx) {
    if (training)
      training->run(ctx);
    else
      model->forward(ctx, images);
  };
  Measurement measured;
  {
    Progress progress(common, "runs", /*prints_results=*/false, options.runs + 1);
    measured = measure(step, options.runs, [&] { progress.advance(); });
  }
  write(output, options, model->parameter_count(), load_ms, measured);
  output.finish();
  if (common.verbose > 0 && options.runs > 0) print_stages(step, measured.costs);
  return 0;
}

}  // namespace

Action add_benchmark(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<BenchmarkOptions>();
  add_model_option(command, options->model, ", or a configuration's name (vitkit info --list models)");
  add_batch_size_option(command, options->batch_size);
  add_img_size_option(command, options->img_size);
  add_precision_option(command, options->precision);
  command
      .add_option("--runs", options->runs,
                  with_example("Timed runs after the warm-up; 0: one run from cold, nothing else", "--runs 50"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20));
  command.add_flag("--train", options->train,
                   with_example("Time training steps: forward, loss, backward, AdamW (default: off)", "--train"));
  command.footer(
      "gflop is the work of one run (two operations per multiply-add), gflops the\n"
      "rate reached, peak_gflops the rate of a loop of multiply-adds on the same\n"
      "threads, measured between the runs.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit benchmark --model vit_base_patch16_224 --batch-size 8 --threads 2\n"
      "  vitkit benchmark --model path/to/checkpoint --format json\n"
      "  vitkit benchmark --model vit_small_patch16_224 -v   (times per stage)\n"
      "  vitkit benchmark --train --model vit_cifar --batch-size 64");
  return [options, &common] { return benchmark(*options, common); };
}

}  // namespace apps
