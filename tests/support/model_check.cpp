#include "tests/support/model_check.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/support/gradient_check.h"
#include "tests/support/tolerance.h"
#include "vit/autograd/tape.h"
#include "vit/core/parallel.h"

namespace vit::test {

namespace {

/// Only stands there.
struct Onlooker : Observer {
  bool wants(const std::string&) override { return false; }
  void observe(const std::string&, const Tensor&) override {}
};

/// Gradients and buffers after a training step of a new model.
std::map<std::string, Tensor> training_step(const MakeModel& make, const Tensor& images,
                                            const TrainingOptions& options) {
  const std::unique_ptr<ImageModel> model = make();
  fill_leaves(*model);
  model->set_training(options);
  Context ctx;
  ctx.training = true;
  ctx.seed = 5;
  std::map<std::string, Tensor> all =
      gradients_of(*model, ctx, [&](Context& inner) { return model->forward(inner, images); });
  EXPECT_FALSE(all.empty());
  model->visit_parameters([&](const std::string& name, Parameter& parameter) {
    if (parameter.buffer) all[name] = parameter.value.value();
  });
  return all;
}

void expect_same_bits(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.count(name)) << name;
    EXPECT_TRUE(same_bits(tensor, b.at(name))) << name;
  }
}

}  // namespace

void expect_close(const Tensor& a, const Tensor& b, int64_t operations) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_LE(relative_l2(a.f32(), b.f32(), a.numel()), rounding_tolerance(operations, 1.0));
}

void expect_same_with_and_without_tape(const MakeModel& make, const Tensor& images, int64_t operations) {
  const std::unique_ptr<ImageModel> model = make();
  fill_leaves(*model);
  Context recording;
  Tape tape(recording);
  recording.tape = &tape;
  const Tensor recorded = model->forward(recording, images).value().clone();
  EXPECT_GT(tape.size(), 0u);
  model->visit_modules([](const std::string&, Module& module) { module.prepare(); });
  Context ctx;
  expect_close(recorded, model->forward(ctx, images).value(), operations);
  // An observer may make the model compute what nobody else reads.
  Onlooker onlooker;
  ctx.observer = &onlooker;
  expect_close(recorded, model->forward(ctx, images).value(), operations);
}

void expect_slopes(const MakeModel& make, const Tensor& images, double step) {
  const std::unique_ptr<ImageModel> model = make();
  fill_leaves(*model);
  expect_directional_derivatives(
      *model, [&](Context& ctx) { return model->forward(ctx, images); }, step);
}

void expect_same_when_checkpointing(const MakeModel& make, const Tensor& images, const TrainingOptions& options) {
  TrainingOptions checkpointing = options;
  checkpointing.grad_checkpointing = true;
  expect_same_bits(training_step(make, images, options), training_step(make, images, checkpointing));
}

void expect_same_on_any_threads(const MakeModel& make, const Tensor& images, const TrainingOptions& options) {
  set_num_threads(1);
  const std::map<std::string, Tensor> one = training_step(make, images, options);
  for (const int threads : {2, 8}) {
    set_num_threads(threads);
    expect_same_bits(one, training_step(make, images, options));
  }
  set_num_threads(0);
}

}  // namespace vit::test
