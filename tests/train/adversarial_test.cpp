#include "vit/train/adversarial.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "vit/autograd/losses.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/tape.h"
#include "vit/models/build.h"
#include "vit/nn/linear.h"
#include "vit/train/classification.h"

namespace vit {
namespace {

using test::gradients_of;
using test::random_tensor;
using test::same_bits;
using test::usage_error;
using testing::HasSubstr;

const PixelScale kScale{{2.0f, 4.0f, 5.0f}, {-1.0f, -2.0f, -2.5f}};

/// Pictures [count, 3, 8, 8] away from black and white, as a model reads them.
Tensor pictures(int64_t count) {
  Tensor values = random_tensor({count, 3, 8, 8}, 1, 0.05f, 0.5f);
  for (float& value : values.span<float>()) value = std::clamp(value, 0.3f, 0.7f);
  return kScale.normalized(values);
}

/// A linear model of such pictures and its loss for class 0: the gradient's signs are the same everywhere.
class LinearModel {
 public:
  LinearModel() { test::fill_leaves(linear_); }
  Linear& module() { return linear_; }
  AdversarialTraining::LossOf loss() {
    return [this](Context& ctx, const Var& images, int64_t) {
      ++calls;
      const Var logits = linear_.forward(ctx, reshape(ctx, images, {images.size(0), 3 * 8 * 8}));
      return cross_entropy(ctx, logits, Tensor::zeros({images.size(0)}, DType::i64));
    };
  }
  int calls = 0;

 private:
  Linear linear_{3 * 8 * 8, 2};
};

TEST(AdversarialTraining, ALinearModelsWorstPictureIsTheCornerOfTheBall) {
  LinearModel model;
  const Tensor images = pictures(3);
  const AdversarialTraining training({.eps = 0.1, .steps = 4}, kScale);
  Context ctx;
  const Tensor worse = kScale.pixels(training.examples(model.module(), ctx, images, model.loss()));
  EXPECT_EQ(model.calls, 4);
  const Tensor original = kScale.pixels(images);
  Tensor weight;
  model.module().visit_parameters([&](const std::string& name, Parameter& parameter) {
    EXPECT_TRUE(parameter.value.requires_grad()) << "parameters are leaves again";
    EXPECT_FALSE(parameter.value.grad().defined()) << "and collected nothing";
    if (name == "weight") weight = parameter.value.value();
  });
  for (int64_t b = 0; b < 3; ++b)
    for (int64_t i = 0; i < 192; ++i) {
      // The loss of class 0 grows with the other logit: along w1 - w0.
      const float slope = weight.f32()[192 + i] - weight.f32()[i];
      const float change = worse.f32()[b * 192 + i] - original.f32()[b * 192 + i];
      ASSERT_NEAR(change, slope > 0.0f ? 0.1f : -0.1f, 1e-5f) << "value " << i << " of picture " << b;
    }
}

TEST(AdversarialTraining, CleanShareStaysAsItIs) {
  LinearModel model;
  const Tensor images = pictures(4);
  Context ctx;
  const AdversarialTraining training({.eps = 0.1, .steps = 1, .clean_share = 0.5}, kScale);
  const Tensor worse = training.examples(model.module(), ctx, images, model.loss());
  EXPECT_TRUE(same_bits(worse.slice(0, 2), images.slice(0, 2)));
  EXPECT_FALSE(same_bits(worse.slice(2, 3), images.slice(2, 3)));
  EXPECT_FALSE(same_bits(worse.slice(3, 4), images.slice(3, 4)));
}

TEST(AdversarialTraining, WarmUpGrowsEps) {
  LinearModel model;
  AdversarialTraining training({.eps = 0.1, .steps = 2, .warmup = 0.5}, kScale);
  training.start_epoch(0.0);
  EXPECT_EQ(training.eps(), 0.0);
  const Tensor images = pictures(2);
  Context ctx;
  EXPECT_TRUE(same_bits(training.examples(model.module(), ctx, images, model.loss()), images));
  training.start_epoch(0.25);
  EXPECT_DOUBLE_EQ(training.eps(), 0.05);
  const Tensor worse = kScale.pixels(training.examples(model.module(), ctx, images, model.loss()));
  for (const double far : distances(Norm::linf, worse, kScale.pixels(images))) EXPECT_NEAR(far, 0.05, 1e-5);
  training.start_epoch(0.75);
  EXPECT_DOUBLE_EQ(training.eps(), 0.1);
}

TEST(AdversarialTraining, IsAFunctionOfTheSeedAndThePlaceInTheRun) {
  LinearModel model;
  const Tensor images = pictures(2);
  const AdversarialTraining training({.eps = 0.1, .steps = 1, .alpha = 0.01}, kScale);
  const auto examples = [&](uint64_t seed, uint64_t calls) {
    Context ctx;
    ctx.seed = seed;
    ctx.random_calls = calls;
    const Tensor worse = training.examples(model.module(), ctx, images, model.loss());
    EXPECT_EQ(ctx.random_calls, calls) << "what dropout draws does not change";
    return worse;
  };
  EXPECT_TRUE(same_bits(examples(3, 1 << 20), examples(3, 1 << 20)));
  EXPECT_FALSE(same_bits(examples(3, 1 << 20), examples(4, 1 << 20)));
  EXPECT_FALSE(same_bits(examples(3, 1 << 20), examples(3, 2 << 20)));
}

TEST(AdversarialConfig, StepsHaveADefaultLength) {
  EXPECT_DOUBLE_EQ(AdversarialConfig({.eps = 0.2, .steps = 10}).step_length(), 0.05);
  EXPECT_DOUBLE_EQ(AdversarialConfig({.eps = 0.2, .steps = 1}).step_length(), 0.25);
  EXPECT_DOUBLE_EQ(AdversarialConfig({.eps = 0.2, .steps = 1, .random_start = false}).step_length(), 0.2);
  EXPECT_DOUBLE_EQ(AdversarialConfig({.eps = 0.2, .steps = 10, .alpha = 0.03}).step_length(), 0.03);
}

TEST(AdversarialConfig, RefusesWhatMeansNothing) {
  const auto refused = [](const std::string& yaml) {
    return usage_error([&] { read_config<AdversarialConfig>(ConfigNode::parse(yaml, "run.yaml")); });
  };
  EXPECT_THAT(refused("{eps: 0}"), HasSubstr("eps must be above 0"));
  EXPECT_THAT(refused("{eps: -0.1}"), HasSubstr("eps must be above 0"));
  EXPECT_THAT(refused("{eps: 8}"), HasSubstr("0.0314"));
  EXPECT_THAT(refused("{steps: 0}"), HasSubstr("steps"));
  EXPECT_THAT(refused("{clean_share: 0.5, trades_beta: 6}"), HasSubstr("clean_share"));
  EXPECT_NO_THROW(read_config<AdversarialConfig>(ConfigNode::parse("{eps: 3, norm: l2}", "run.yaml")));
}

TEST(KlDivergence, IsTheDefinitionWithItsGradients) {
  test::GradientCase op{.name = "kl", .inputs = {random_tensor({3, 5}, 1), random_tensor({3, 5}, 2)}};
  op.run = [](Context& ctx, const std::vector<Var>& x) { return kl_divergence(ctx, x[0], x[1]); };
  op.plain = [](const std::vector<test::Plain>& x) {
    test::Plain total = test::Plain::from_shape({1});
    total(0) = 0.0;
    for (size_t b = 0; b < 3; ++b) {
      double sum_p = 0.0, sum_q = 0.0;
      for (size_t k = 0; k < 5; ++k) sum_p += std::exp(x[0](b, k));
      for (size_t k = 0; k < 5; ++k) sum_q += std::exp(x[1](b, k));
      for (size_t k = 0; k < 5; ++k) {
        const double p = std::exp(x[0](b, k)) / sum_p, q = std::exp(x[1](b, k)) / sum_q;
        total(0) += p * std::log(p / q) / 3.0;
      }
    }
    return total;
  };
  test::expect_value_and_gradients(op);
  test::expect_every_input_alone(op);
}

TEST(KlDivergence, IsFiniteForLogitsFarApart) {
  Context ctx;
  const Tensor p = Tensor::from<float>({500.0f, -500.0f}, {1, 2}), q = Tensor::from<float>({-500.0f, 500.0f}, {1, 2});
  EXPECT_FLOAT_EQ(kl_divergence(ctx, p, q).value().f32()[0], 1000.0f);
}

/// A small ViT in training, and a batch of pictures for it.
class AdversarialTask : public testing::Test {
 protected:
  AdversarialTask() {
    model_ = build_model(ConfigNode::parse("{type: vit, img_size: [8, 8], patch_size: [4, 4], embed_dim: 16, depth: 2, "
                                           "num_heads: 2, num_classes: 3}",
                                           "tiny.yaml"),
                         "tiny");
    test::fill_leaves(*model_);
    batch_.images = pictures(4);
    batch_.targets = Tensor::from<int64_t>({0, 1, 2, 1}, {4});
    ctx_.training = true;
    ctx_.seed = 5;
  }
  std::map<std::string, Tensor> gradients(Task& task, const Batch& batch) {
    return gradients_of(*model_, ctx_, [&](Context& ctx) {
      const Var loss = task.loss(ctx, batch);
      loss_ = loss.value().f32()[0];
      return loss;
    });
  }
  static void expect_equal(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [name, gradient] : a) EXPECT_TRUE(same_bits(gradient, b.at(name))) << name;
  }

  std::unique_ptr<ImageModel> model_;
  Batch batch_;
  Context ctx_;
  float loss_ = 0.0f;
};

TEST_F(AdversarialTask, LearnsFromTheWorsePictures) {
  const AdversarialConfig config{.eps = 0.05, .steps = 2};
  ClassificationTask plain(*model_, {}, nullptr, {}), adversarial(*model_, {}, nullptr, {});
  adversarial.learn_from_adversarial(config, kScale);
  const auto found = gradients(adversarial, batch_);
  const float worst = loss_;
  const AdversarialTraining training(config, kScale);
  Batch worse = batch_;
  worse.images = training.examples(*model_, ctx_, batch_.images, [&](Context& ctx, const Var& images, int64_t) {
    return cross_entropy(ctx, model_->forward(ctx, images), batch_.targets);
  });
  expect_equal(found, gradients(plain, worse));
  EXPECT_EQ(loss_, worst);
  gradients(plain, batch_);
  EXPECT_GT(worst, loss_) << "the pictures are worse than they were";
}

TEST_F(AdversarialTask, SoftTargetsAndTradesTrain) {
  for (const std::optional<double> beta : {std::optional<double>(), std::optional<double>(6.0)}) {
    ClassificationTask task(*model_, {}, nullptr, {});
    task.learn_from_adversarial({.eps = 0.05, .steps = 2, .trades_beta = beta}, kScale);
    batch_.targets = Tensor::full({4, 3}, 1.0f / 3.0f);
    const auto found = gradients(task, batch_);
    const float with = loss_;
    ClassificationTask plain(*model_, {}, nullptr, {});
    gradients(plain, batch_);
    EXPECT_GT(with, loss_);
    for (const auto& [name, gradient] : found)
      EXPECT_TRUE(std::isfinite(gradient.f32()[0])) << name << " of " << found.size();
  }
}

TEST_F(AdversarialTask, EvaluationSeesPicturesAsTheyAre) {
  ClassificationTask plain(*model_, {}, nullptr, {}), adversarial(*model_, {}, nullptr, {});
  adversarial.learn_from_adversarial({.eps = 0.05, .steps = 2}, kScale);
  Context ctx;
  EXPECT_TRUE(same_bits(adversarial.loss(ctx, batch_).value(), plain.loss(ctx, batch_).value()));
}

}  // namespace
}  // namespace vit
