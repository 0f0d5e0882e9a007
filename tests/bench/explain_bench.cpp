// What explanations cost beside one classification: explain_bench [MODEL] [THREADS] [ROUNDS]. Every round runs a plain
// forward pass and each method once, in turn; printed are the methods' medians as multiples of the pass, and what
// memory they added to the most that the process had.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vit/core/parallel.h"
#include "vit/core/timer.h"
#include "vit/explain/classifier_subject.h"
#include "vit/explain/method.h"
#include "vit/io/checkpoint.h"
#include "vit/models/build.h"

namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Megabytes that the process had at most.
double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

vit::Tensor picture_of(const vit::ModelInfo& info) {
  vit::Tensor pixels = vit::Tensor::empty({1, info.input_channels, info.input_size[0], info.input_size[1]});
  for (int64_t i = 0; i < pixels.numel(); ++i) pixels.f32()[i] = static_cast<float>((i * 7919) % 255) / 128.0f - 1.0f;
  return pixels;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "vit_base_patch16_224";
  vit::set_num_threads(argc > 2 ? std::atoi(argv[2]) : 2);
  const int64_t rounds = argc > 3 ? std::atoi(argv[3]) : 7;
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(name);
  const auto probe = vit::load_model(checkpoint);
  const auto model =
      std::make_shared<vit::ExplainedModel>(vit::ExplainedModel::from(checkpoint, probe->info().input_size));
  const vit::ClassifierSubject subject(model, 0, "class 0");
  const vit::Tensor pixels = picture_of(probe->info());
  const std::vector<std::string> wanted = {"attention", "rollout",  "gradient_rollout", "relevance",
                                           "gradcam",   "layercam", "input_x_gradient"};
  const std::vector<std::string> possible = vit::methods_for(subject);
  std::vector<std::string> methods;
  for (const std::string& method : wanted)
    if (std::find(possible.begin(), possible.end(), method) != possible.end()) methods.push_back(method);
  vit::Context ctx;
  const auto plain = [&] { static_cast<void>(model->fast().forward(ctx, pixels)); };
  plain();
  std::map<std::string, double> memory;
  double most = peak_memory();
  for (const std::string& method : methods) {  // warms up, too
    static_cast<void>(vit::explain(method, subject, pixels));
    const double now = peak_memory();
    memory[method] = now - most;
    most = now;
  }
  std::vector<double> passes;
  std::map<std::string, std::vector<double>> times;
  for (int64_t round = 0; round < rounds; ++round) {
    const vit::Timer timer;
    plain();
    passes.push_back(timer.milliseconds());
    for (const std::string& method : methods) {
      const vit::Timer own;
      static_cast<void>(vit::explain(method, subject, pixels));
      times[method].push_back(own.milliseconds() / passes.back());
    }
  }
  fmt::print("{}: forward {:.1f} ms (median of {})\n", name, median(passes), rounds);
  for (const std::string& method : methods)
    fmt::print("  {:18} {:5.2f} x forward (least {:.2f}); peak memory +{:.0f} MB\n", method, median(times[method]),
               *std::min_element(times[method].begin(), times[method].end()), memory[method]);
  return 0;
}
