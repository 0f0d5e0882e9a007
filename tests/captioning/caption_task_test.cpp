// Training of captioners from pictures and sentences to figures: what the loss is made of, and that a handful of scenes
// is learnt by heart.
#include "captioning/caption_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "captioning/caption_batch.h"
#include "captioning/run_tokenizer.h"
#include "datasets/caption_loader.h"
#include "datasets/scenes.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/tape.h"
#include "vit/models/build.h"
#include "vit/models/load.h"
#include "vit/train/optimizer.h"
#include "vit/train/param_group.h"

namespace captioning {
namespace {

using testing::Contains;
using testing::HasSubstr;
using vit::Context;
using vit::Tensor;
using vit::Var;

constexpr int64_t kScenes = 4, kSide = 32;

constexpr const char* kSoft = R"(
type: show_attend_tell
img_size: [32, 32]
backbone: {type: resnet, block: basic, layers: [1, 1], channels: [8, 12], stem_channels: 8}
region_dim: 16
embed_dim: 16
hidden_dim: 32
dropout: 0.0
)";
const std::string kHard = std::string(kSoft) + "attention: {type: hard, estimator: reinforce}\n";

std::unique_ptr<vit::ImageModel> make_model(const std::string& yaml, int64_t tokens) {
  auto model = vit::build_model(vit::ConfigNode::parse(yaml, "test"), "test");
  static_cast<void>(model->replace_head(tokens));
  vit::initialise_parameters(*model, 3, vit::Purpose::training);
  return model;
}

datasets::LoaderConfig batches_of(int64_t size) {
  datasets::LoaderConfig config;
  config.batch_size = size;
  return config;
}

/// A model on four scenes with their first captions.
class Training {
 public:
  explicit Training(const std::string& yaml, const CaptionLossConfig& loss = {})
      : scenes_(std::make_shared<datasets::ScenesDataset>(11, kScenes, kSide)),
        data_(datasets::require_captions(scenes_, "scenes")),
        tokenizer_(learnt_tokenizer(*data_, {.vocab_size = 130, .min_frequency = 1, .all_bytes = false})),
        model_(make_model(yaml, tokenizer_.size())),
        preprocessor_(vit::Preprocessor::from_timm(
            {{"input_size", {3, kSide, kSide}}, {"crop_pct", 1.0}, {"mean", {0.5, 0.5, 0.5}}, {"std", {0.5, 0.5, 0.5}}},
            "test")),
        loader_(datasets::make_caption_eval_loader(*data_, preprocessor_, batches_of(kScenes))),
        task_(captioner(), tokenizer_, loss,
              {.batches = loader_.get(), .data = data_.get(), .generation = {.max_new_tokens = 60}},
              {{"config.json", "{}"}}) {
    model_->visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
      if (parameter.buffer) return;
      parameter.value = Var::leaf(parameter.value.value());
      leaves_.emplace_back(name, parameter.value);
    });
  }

  CaptionModel& captioner() { return dynamic_cast<CaptionModel&>(*model_); }
  CaptionTask& task() { return task_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  vit::Batch batch() {
    vit::Batch batch;
    loader_->start(0, 0);
    EXPECT_TRUE(loader_->next(batch));
    return batch;
  }
  std::map<std::string, double> evaluate() {
    const std::vector<vit::Metric> metrics = task_.evaluate();
    return {metrics.begin(), metrics.end()};
  }

  /// The loss of one pass with a tape; gradients stand in the leaves.
  double loss_of(const vit::Batch& batch, uint64_t seed = 0) {
    for (const auto& [name, leaf] : leaves_) leaf.clear_grad();
    Context ctx;
    ctx.training = true;
    ctx.seed = seed;
    vit::Tape tape(ctx);
    ctx.tape = &tape;
    const Var loss = task_.loss(ctx, batch);
    ctx.tape = nullptr;
    tape.backward(loss);
    return static_cast<double>(loss.value().f32()[0]);
  }
  /// Full-batch AdamW.
  void learn(int updates, double rate) {
    vit::OptimizerConfig config;
    config.weight_decay = 0.0;
    const auto optimizer = vit::make_optimizer(config, parameters(), vit::plan_param_groups(parameters(), config));
    const vit::Batch all = batch();
    for (int step = 0; step < updates; ++step) {
      static_cast<void>(loss_of(all, static_cast<uint64_t>(step)));
      optimizer->step(parameters(), rate);
    }
  }
  double gradient_norm(const std::string& wanted) const {
    double sum = 0.0;
    for (const auto& [name, leaf] : leaves_)
      if (name == wanted && leaf.grad().defined())
        for (const float value : leaf.grad().span<float>()) sum += static_cast<double>(value) * value;
    return std::sqrt(sum);
  }
  Tensor buffer(const std::string& wanted) {
    Tensor found;
    model_->visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
      if (name == wanted) found = parameter.value.value();
    });
    return found;
  }

 private:
  std::vector<vit::NamedParameter> parameters() const {
    std::vector<vit::NamedParameter> list;
    for (const auto& [name, leaf] : leaves_) list.push_back({name, leaf.value(), leaf.grad()});
    return list;
  }

  std::shared_ptr<datasets::ScenesDataset> scenes_;
  std::shared_ptr<const datasets::CaptionDataset> data_;
  Tokenizer tokenizer_;
  std::unique_ptr<vit::ImageModel> model_;
  vit::Preprocessor preprocessor_;
  std::unique_ptr<datasets::Loader> loader_;
  CaptionTask task_;
  std::vector<std::pair<std::string, Var>> leaves_;
};

class Learns : public testing::TestWithParam<std::pair<std::string, double>> {};

TEST_P(Learns, AHandfulByHeart) {
  Training training(GetParam().first, {.max_tokens = 60});
  const auto before = training.evaluate();
  EXPECT_LT(before.at("bleu4"), 0.1);
  training.learn(150, 1e-2);
  const auto after = training.evaluate();
  EXPECT_LT(after.at("loss"), GetParam().second * before.at("loss"));
  EXPECT_GT(after.at("bleu4"), 0.8);
  EXPECT_GT(after.at("rouge_l"), 0.8);
}

std::string family_name(const testing::TestParamInfo<Learns::ParamType>& item) {
  constexpr std::array kNames = {"soft", "hard", "transformer"};
  return kNames.at(item.index);
}

INSTANTIATE_TEST_SUITE_P(Families, Learns,
                         testing::Values(std::pair(std::string(kSoft), 0.05), std::pair(kHard, 0.15),
                                         std::pair(std::string("type: transformer_captioner\nimg_size: [32, 32]\n"
                                                               "backbone: {type: resnet, block: basic, layers: [1, 1], "
                                                               "channels: [8, 12], stem_channels: 8}\n"
                                                               "d_model: 32\ndecoder_ffn_dim: 48\ndropout: 0.0\n"),
                                                   0.05)),
                         family_name);

TEST(CaptionTask, PaddingCountsForNothing) {
  Training training(kSoft);
  vit::Batch both = training.batch().first(2);
  both.captions = {"a large red star", "a small blue ring left of a large green key and a white cup"};
  // Without gradients, as in use: no statistics of a batch.
  const auto loss = [&](const vit::Batch& batch) {
    Context ctx;
    return static_cast<double>(training.task().loss(ctx, batch).value().f32()[0]);
  };
  vit::Batch one = both.first(1), other = both.first(1);
  other.images = both.images.slice(1, 2);
  other.captions = {both.captions[1]};
  const auto words = [&](const vit::Batch& batch) {
    return static_cast<double>(
        make_caption_batch(training.tokenizer(), batch.captions, training.captioner(), 99).words());
  };
  EXPECT_GT(words(other), words(one) + 3);
  EXPECT_NEAR(loss(both), (words(one) * loss(one) + words(other) * loss(other)) / (words(one) + words(other)), 1e-5);
}

TEST(CaptionTask, CoverageIsWhatObserversSee) {
  Training plain(kSoft), covering(kSoft, {.doubly_stochastic = 2.0});
  const vit::Batch batch = plain.batch();
  struct Keeper : vit::Observer {
    Tensor probs;
    bool wants(const std::string& name) override { return name == "decoder.attn.probs"; }
    void observe(const std::string&, const Tensor& value) override { probs = value.clone(); }
  } keeper;
  Context ctx;
  ctx.training = true;
  ctx.observer = &keeper;
  const double expected_base = static_cast<double>(plain.task().loss(ctx, batch).value().f32()[0]);
  ASSERT_TRUE(keeper.probs.defined());
  const CaptionBatch captions = make_caption_batch(plain.tokenizer(), batch.captions, plain.captioner(), 48);
  const int64_t words = keeper.probs.size(2), regions = keeper.probs.size(3);
  double sum = 0.0;
  for (int64_t b = 0; b < batch.size(); ++b)
    for (int64_t m = 0; m < regions; ++m) {
      double attended = 0.0;
      for (int64_t t = 0; t < words; ++t)
        if (captions.mask.data<int64_t>()[b * words + t] != 0)
          attended += static_cast<double>(keeper.probs.f32()[(b * words + t) * regions + m]);
      sum += (1.0 - attended) * (1.0 - attended);
    }
  const double expected = expected_base + 2.0 * sum / static_cast<double>(batch.size() * regions);
  EXPECT_NEAR(covering.loss_of(batch), expected, 1e-4);
  // The scores learn from it.
  EXPECT_GT(covering.gradient_norm("decoder.attn.score.weight"), 0.0);
}

TEST(CaptionTask, DrawsAreRewardedAgainstAMovingAverage) {
  Training training(kHard, {.reward_weight = 0.0, .entropy_weight = 0.0, .baseline_decay = 0.75});
  const vit::Batch one = training.batch().first(1);
  // One caption: its reward is what the loss is, the other way round.
  const double first = training.loss_of(one, 1);
  const Tensor baseline = training.buffer("reward_baseline");
  ASSERT_TRUE(baseline.defined());
  EXPECT_NEAR(baseline.f32()[0], -first, 1e-4);
  EXPECT_EQ(baseline.f32()[1], 1.0f);
  const double second = training.loss_of(one, 2);
  EXPECT_NE(first, second) << "another draw";
  EXPECT_NEAR(baseline.f32()[0], -0.75 * first - 0.25 * second, 1e-4);
  // Without weights the scores learn nothing, with either they do.
  EXPECT_EQ(training.gradient_norm("decoder.attn.score.weight"), 0.0);
  for (const auto& [reward, entropy] : {std::pair(1.0, 0.0), std::pair(0.0, 1.0)}) {
    Training taught(kHard, {.reward_weight = reward, .entropy_weight = entropy});
    static_cast<void>(taught.loss_of(one, 1));
    static_cast<void>(taught.loss_of(one, 2));
    EXPECT_GT(taught.gradient_norm("decoder.attn.score.weight"), 0.0) << reward;
  }
}

TEST(CaptionTask, ATriedPassMovesNoBaseline) {
  Training training(kHard);
  const vit::Batch batch = training.batch();
  Context ctx;
  ctx.training = true;
  ctx.update_statistics = false;
  vit::Tape tape(ctx);
  ctx.tape = &tape;
  static_cast<void>(training.task().loss(ctx, batch));
  EXPECT_EQ(training.buffer("reward_baseline").f32()[1], 0.0f);
}

TEST(CaptionTask, OwnWordsComeWithTime) {
  Training training(kSoft, {.scheduled_sampling = 1.0});
  const vit::Batch batch = training.batch();
  Training forced(kSoft);
  const double teacher = forced.loss_of(batch, 1);
  training.task().start_epoch(0.0);
  EXPECT_EQ(training.loss_of(batch, 1), teacher) << "the first epoch is teacher forcing";
  training.task().start_epoch(1.0);
  const double own = training.loss_of(batch, 1);
  EXPECT_NE(own, teacher);
  EXPECT_EQ(training.loss_of(batch, 1), own) << "the same seed draws the same words";
  EXPECT_NE(training.loss_of(batch, 2), own);
}

TEST(CaptionTask, FiguresAndFilesAreKnownBefore) {
  Training training(kSoft);
  std::vector<std::string> given;
  for (const auto& [name, value] : training.task().evaluate()) given.push_back(name);
  EXPECT_THAT(training.task().metric_names(), testing::UnorderedElementsAreArray(given));
  for (const char* name : {"bleu1", "bleu4", "rouge_l", "cider", "loss"}) EXPECT_THAT(given, Contains(name));
  const auto files = training.task().checkpoint_files();
  EXPECT_EQ(files.at("config.json"), "{}");
  const Tokenizer again = Tokenizer::from_json(files.at("tokenizer.json"), "test");
  EXPECT_EQ(again.size(), training.tokenizer().size());
  EXPECT_EQ(again.encode("a red star", false), training.tokenizer().encode("a red star", false));
}

TEST(CaptionTask, ProbeShowsWhereWordsLooked) {
  Training training(kSoft);
  struct Counting : vit::Observer {
    int64_t pictures = 0;
    bool wants(const std::string& name) override { return name == "decoder.attn.probs"; }
    void observe(const std::string&, const Tensor& value) override { pictures += value.size(0); }
  } observer;
  Context ctx;
  ctx.observer = &observer;
  EXPECT_TRUE(training.task().probe(ctx, 3));
  EXPECT_EQ(observer.pictures, 3);
}

TEST(CaptionTask, RefusesWhatCannotBeTrained) {
  EXPECT_THAT(vit::test::usage_error(
                  [] { Training(std::string(kSoft) + "attention: hierarchical\n", {.doubly_stochastic = 1.0}); }),
              HasSubstr("doubly_stochastic needs an attention whose weights"));
  Training training(kSoft);
  auto small = make_model(kSoft, 5);
  EXPECT_THAT(vit::test::usage_error(
                  [&] { CaptionTask(dynamic_cast<CaptionModel&>(*small), training.tokenizer(), {}, {}, {}); }),
              HasSubstr("the model test knows 5"));
  vit::Batch batch = training.batch();
  batch.captions.pop_back();
  EXPECT_THAT(vit::test::failure([&] { static_cast<void>(training.loss_of(batch)); }),
              HasSubstr("3 captions for 4 pictures"));
}

TEST(CaptionBatch, StandsBetweenStartAndEnd) {
  const auto model = make_model(kSoft, 9);
  const auto& captioner = dynamic_cast<const CaptionModel&>(*model);
  const CaptionBatch batch = make_caption_batch({{5, 6, 7}, {8}, {}, {4, 4, 4, 4, 4, 4}}, captioner, 4);
  const auto row = [](const Tensor& tensor, int64_t b) {
    const int64_t* begin = tensor.data<int64_t>() + b * tensor.size(1);
    return std::vector<int64_t>(begin, begin + tensor.size(1));
  };
  constexpr int64_t kNone = kIgnoredLabel;
  using Row = std::vector<int64_t>;
  EXPECT_EQ(row(batch.ids, 0), (Row{1, 5, 6, 7, 0}));
  EXPECT_EQ(row(batch.targets, 0), (Row{5, 6, 7, 2, kNone}));
  EXPECT_EQ(row(batch.mask, 0), (Row{1, 1, 1, 1, 0}));
  EXPECT_EQ(row(batch.ids, 1), (Row{1, 8, 0, 0, 0}));
  EXPECT_EQ(row(batch.targets, 1), (Row{8, 2, kNone, kNone, kNone}));
  EXPECT_EQ(row(batch.targets, 2), (Row{2, kNone, kNone, kNone, kNone})) << "nothing to say";
  EXPECT_EQ(row(batch.targets, 3), (Row{4, 4, 4, 4, 4})) << "what is cut has no end";
  EXPECT_EQ(batch.words(), 4 + 2 + 1 + 5);
  EXPECT_THAT(vit::test::failure([&] { make_caption_batch({{9}}, captioner, 4); }), HasSubstr("token 9 is outside"));
  EXPECT_THAT(vit::test::failure([&] { make_caption_batch(std::vector<std::vector<int64_t>>{}, captioner, 4); }),
              HasSubstr("without sentences"));
}

TEST(RunTokenizer, MatchesTheModel) {
  const auto data = datasets::require_captions(std::make_shared<datasets::ScenesDataset>(1, 5, kSide), "scenes");
  const Tokenizer tokenizer = learnt_tokenizer(*data, {.vocab_size = 100, .all_bytes = false});
  EXPECT_LE(tokenizer.size(), 100);
  const auto model = make_model(kSoft, tokenizer.size());
  require_matching(tokenizer, dynamic_cast<const CaptionModel&>(*model), "test");
  const auto other = make_model(std::string(kSoft) + "bos_token_id: 3\n", tokenizer.size());
  EXPECT_THAT(vit::test::usage_error(
                  [&] { require_matching(tokenizer, dynamic_cast<const CaptionModel&>(*other), "the tokenizer"); }),
              testing::AllOf(HasSubstr("the tokenizer"), HasSubstr("start is 1"), HasSubstr("has 3")));
}

}  // namespace
}  // namespace captioning
