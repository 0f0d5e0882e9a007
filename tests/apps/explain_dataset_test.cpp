#include "apps/explain_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/scenes.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_checkpoint.h"
#include "vit/core/file.h"
#include "vit/explain/explained_model.h"
#include "vit/image/preprocess.h"
#include "vit/io/checkpoint.h"
#include "vit/models/labels.h"

namespace apps {
namespace {

using testing::HasSubstr;

/// Scenes, of which number 1 cannot be read.
class TornScenes : public datasets::ScenesDataset {
 public:
  TornScenes() : ScenesDataset(7, 5, 32) {}
  vit::Image load(int64_t index) const override {
    if (index == 1) vit::fail("scene 1: cut off");
    return ScenesDataset::load(index);
  }
};

class ExplainDataset : public testing::Test {
 protected:
  ExplainDataset() : checkpoint_(make_checkpoint()), model_(open_model()) {
    common_.format = Format::json;
    common_.quiet = true;
    common_.output = (dir_ / "table.jsonl").string();
    options_.evaluation.method.samples = 20;
    options_.evaluation.faithfulness.steps = 4;
    options_.evaluation.bootstrap.resamples = 50;
    preprocessor_ = vit::Preprocessor::timm({.input_size = {32, 32}, .crop_pct = 1.0});
  }

  /// The records that the command would write, and how many pictures failed.
  std::vector<Record> run(const std::string& methods, std::optional<int64_t> target = {}) {
    options_.methods = methods;
    Output output(common_);
    failed_ = explain_dataset(data_, ask_classifier(model_, preprocessor_, labels_, data_, target, 3), options_, output,
                              common_);
    output.finish();
    std::istringstream stream(vit::read_file(common_.output));
    std::vector<Record> records;
    for (std::string line; std::getline(stream, line);) records.push_back(Record::parse(line));
    return records;
  }

  vit::Checkpoint make_checkpoint() const {
    vit::test::write_tiny_checkpoint(dir_ / "model", {.labels = datasets::scene_class_names()});
    return vit::Checkpoint::open((dir_ / "model").string());
  }
  std::shared_ptr<const vit::ExplainedModel> open_model() const {
    return vit::ExplainedModel::of(checkpoint_, {32, 32});
  }

  vit::test::TempDir dir_;
  vit::ClassLabels labels_ = vit::ClassLabels::from_names(datasets::scene_class_names());
  vit::Checkpoint checkpoint_;
  std::shared_ptr<const vit::ExplainedModel> model_;
  vit::Preprocessor preprocessor_;
  TornScenes data_;
  CommonOptions common_;
  DatasetExplanationOptions options_;
  int64_t failed_ = 0;
};

TEST_F(ExplainDataset, HasALineForEachMethodAndTheBaselines) {
  const std::vector<Record> records = run("occlusion,rise");
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0]["method"], "occlusion");
  EXPECT_EQ(records[3]["baseline"], true);
  EXPECT_EQ(records[0]["pictures"], 4);
  EXPECT_EQ(failed_, 1);
  EXPECT_GT(records[0]["object_area"].get<double>(), 0.05);
  EXPECT_LE(records[0]["deletion_auc_low"].get<double>(), records[0]["deletion_auc"].get<double>());
  EXPECT_GE(records[0]["deletion_auc_high"].get<double>(), records[0]["deletion_auc"].get<double>());
}

TEST_F(ExplainDataset, AllMeansTheMethodsThatApply) {
  options_.limit = 1;
  options_.evaluation.baselines = false;
  const vit::ExplainedPicture picture = ask_classifier(model_, preprocessor_, labels_, data_, {}, 3)(0, data_.load(0));
  const std::vector<std::string> applicable = vit::methods_for(*picture.subject);
  const std::vector<Record> records = run("all");
  ASSERT_EQ(records.size(), applicable.size());
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i]["method"], applicable[i]);
    EXPECT_EQ(records[i]["pictures"], 1);
  }
}

TEST_F(ExplainDataset, ExplainsTheLikeliestClassOrTheOneAskedFor) {
  const vit::Image image = data_.load(0);
  const auto likeliest = ask_classifier(model_, preprocessor_, labels_, data_, {}, 3)(0, image);
  const double best = likeliest.subject->scores(likeliest.pixels).front();
  for (int64_t target = 0; target < 10; ++target) {
    const auto other = ask_classifier(model_, preprocessor_, labels_, data_, target, 3)(0, image);
    EXPECT_EQ(other.subject->name(), labels_.name(target));
    EXPECT_LE(other.subject->scores(other.pixels).front(), best);
  }
}

TEST_F(ExplainDataset, RefusesWhatCannotBe) {
  EXPECT_THAT(vit::test::usage_error([&] { static_cast<void>(run("rise,occlusio")); }),
              HasSubstr("did you mean 'occlusion'"));
  EXPECT_THAT(vit::test::usage_error([&] { static_cast<void>(run("rise,rise")); }), HasSubstr("named twice"));
  EXPECT_THAT(vit::test::usage_error([&] { static_cast<void>(run("rise,,occlusion")); }), HasSubstr("without a name"));
  EXPECT_THAT(vit::test::usage_error([&] { static_cast<void>(run("")); }), HasSubstr("no method is named"));
  EXPECT_THAT(vit::test::usage_error([&] { static_cast<void>(run("rise", 10)); }), HasSubstr("no class 10"));
}

TEST_F(ExplainDataset, WantsAPicture) {
  class Unreadable : public TornScenes {
   public:
    vit::Image load(int64_t) const override { vit::fail("cut off"); }
  };
  const Unreadable none;
  Output output(common_);
  EXPECT_THAT(vit::test::usage_error([&] {
                static_cast<void>(explain_dataset(none, ask_classifier(model_, preprocessor_, labels_, none, {}, 3),
                                                  options_, output, common_));
              }),
              HasSubstr("none of 5 pictures"));
}

}  // namespace
}  // namespace apps
