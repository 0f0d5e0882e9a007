#include "apps/ablation_measure.h"

#include <algorithm>
#include <memory>

#include "apps/measure.h"
#include "vit/core/rng.h"
#include "vit/models/build.h"

namespace apps {

namespace {

/// One measurement lasts at least so long.
constexpr double kSeconds = 0.15;

/// A loaded model, its pictures and what it has shown.
class Subject {
 public:
  Subject(const SpeedTrial& trial, int64_t batch_size) : result_(*trial.result) {
    model_ = vit::load_model(vit::Checkpoint::open(trial.checkpoint.string()));
    const vit::ModelInfo& info = model_->info();
    images_ = vit::Tensor::empty({batch_size, info.input_channels, info.input_size[0], info.input_size[1]});
    vit::Rng rng(0, vit::Rng::stream_of("ablate.images"));
    vit::fill_normal(images_, rng, 1.0f);
    int64_t weights = 0;
    model_->visit_parameters([&](const std::string&, vit::Parameter& parameter) {
      weights += parameter.shape.numel() * static_cast<int64_t>(sizeof(float));
      if (!parameter.buffer) result_.params += parameter.shape.numel();
    });
    OpCosts costs;
    ctx_.costs = &costs;
    run();
    ctx_.costs = nullptr;
    result_.gflop = 1e-9 * costs.flops() / static_cast<double>(batch_size);
    result_.memory_mb = 1e-6 * static_cast<double>(weights + ctx_.arena.bytes_held());
    const vit::Timer timer;
    run();
    repeats_ = std::clamp<int64_t>(static_cast<int64_t>(kSeconds / std::max(timer.seconds(), 1e-6)), 1, 1000);
  }

  void measure() {
    const vit::Timer timer;
    for (int64_t i = 0; i < repeats_; ++i) run();
    speeds_.push_back(static_cast<double>(repeats_ * images_.size(0)) / timer.seconds());
    result_.images_per_s = median(speeds_);
  }

 private:
  void run() { model_->forward(ctx_, images_); }

  VariantResult& result_;
  std::unique_ptr<vit::ImageModel> model_;
  vit::Tensor images_;
  vit::Context ctx_;
  int64_t repeats_ = 1;
  std::vector<double> speeds_;
};

}  // namespace

void measure_speeds(const std::vector<SpeedTrial>& trials, int64_t batch_size, int64_t rounds,
                    const std::function<void()>& progress) {
  std::vector<std::unique_ptr<Subject>> subjects;
  for (const SpeedTrial& trial : trials) {
    trial.result->params = 0;
    subjects.push_back(std::make_unique<Subject>(trial, batch_size));
  }
  for (int64_t round = 0; round < rounds; ++round) {
    for (const std::unique_ptr<Subject>& subject : subjects) {
      subject->measure();
      progress();
    }
    std::reverse(subjects.begin(), subjects.end());
  }
}

}  // namespace apps
