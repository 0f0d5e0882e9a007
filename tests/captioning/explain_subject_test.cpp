// Words explained, on reference checkpoints and small captioners.
#include "captioning/explain_subject.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "captioning/captioner.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_captioner.h"
#include "vit/core/rng.h"
#include "vit/explain/method.h"
#include "vit/explain/roles.h"
#include "vit/io/checkpoint.h"

namespace captioning {
namespace {

using vit::Tensor;

vit::Image noise(int64_t side) {
  vit::Image image(side, side);
  vit::Rng rng(9);
  for (uint8_t& value : image.pixels.span<uint8_t>()) value = static_cast<uint8_t>(rng.next_u32());
  return image;
}

struct Explained {
  explicit Explained(const std::string& dir)
      : captioner(Captioner::load(dir)),
        model(std::make_shared<vit::ExplainedModel>(
            vit::ExplainedModel::from(vit::Checkpoint::open(dir), captioner.model().info().input_size))),
        pixels(captioner.prepare({noise(64)}).pixel_values) {
    const auto start = captioner.model().start_and_end().start;
    words = {{start, 7, 11, 5, 9}, {2, 3}, "words"};
  }
  CaptionSubject subject() const { return CaptionSubject(model, words); }

  Captioner captioner;
  std::shared_ptr<const vit::ExplainedModel> model;
  Tensor pixels;
  AskedWords words;
};

std::string golden(const std::string& name) { return std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/" + name; }

void expect_maps(const Explained& explained, const std::vector<std::string>& expected) {
  const CaptionSubject subject = explained.subject();
  const std::vector<std::string> methods = vit::methods_for(subject);
  for (const std::string& method : expected) {
    ASSERT_TRUE(std::find(methods.begin(), methods.end(), method) != methods.end()) << method;
    const Tensor map = vit::explain(method, subject, explained.pixels).map;
    EXPECT_TRUE(std::all_of(map.f32(), map.f32() + map.numel(), [](float value) { return std::isfinite(value); }))
        << method;
    EXPECT_NE(*std::max_element(map.f32(), map.f32() + map.numel()), 0.0f) << method;
  }
}

TEST(CaptionSubject, PretrainedFamiliesHaveAttentionMethods) {
  expect_maps(Explained(golden("B5_blip")), {"attention", "rollout", "gradient_rollout", "relevance", "layercam"});
}

TEST(CaptionSubject, OwnTransformersHaveThemToo) {
  const vit::test::TempDir dir;
  vit::test::write_tiny_captioner(dir.path(), {});
  expect_maps(Explained(dir.path().string()), {"attention", "rollout", "relevance"});
}

TEST(CaptionSubject, RecurrentDecodersShowWhereTheyLook) {
  const vit::test::TempDir dir;
  vit::test::write_tiny_captioner(dir.path(), {.type = "show_attend_tell"});
  const Explained explained(dir.path().string());
  expect_maps(explained, {"attention"});
  EXPECT_THAT(vit::test::usage_error([&] { vit::explain("relevance", explained.subject(), explained.pixels); }),
              testing::HasSubstr("does not apply"));
}

TEST(CaptionSubject, EachWordHasItsMap) {
  Explained explained(golden("B5_blip"));
  for (const char* method : {"attention", "rollout", "relevance", "layercam"}) {
    std::vector<Tensor> maps;
    for (const size_t piece : {size_t{2}, size_t{4}}) {
      explained.words.pieces = {piece};
      maps.push_back(vit::explain(method, explained.subject(), explained.pixels).map);
    }
    EXPECT_FALSE(std::equal(maps[0].f32(), maps[0].f32() + maps[0].numel(), maps[1].f32())) << method;
  }
}

TEST(CaptionSubject, ScoreIsTheGeometricMeanOfTheWords) {
  const Explained explained(golden("B5_blip"));
  const auto score_of = [&](std::vector<size_t> pieces) {
    AskedWords words = explained.words;
    words.pieces = std::move(pieces);
    return CaptionSubject(explained.model, words).scores(explained.pixels).front();
  };
  EXPECT_NEAR(score_of({2, 3}), std::sqrt(score_of({2}) * score_of({3})), 1e-9);
}

TEST(CaptionSubject, ObjectiveIsTheWordsLogit) {
  const Explained explained(golden("B5_blip"));
  vit::Context ctx;
  const CaptionModel& model = explained.captioner.model();
  const std::vector<int64_t> before(explained.words.ids.begin(), explained.words.ids.end() - 1);
  const Tensor logits =
      model.logits(ctx, model.encode(ctx, explained.pixels), Tensor::from(before, {1, 4}), {}).value();
  const auto at = [&](int64_t piece) {
    return logits.f32()[(piece - 1) * logits.size(2) + explained.words.ids[static_cast<size_t>(piece)]];
  };
  EXPECT_NEAR(explained.subject().objective(ctx, explained.pixels).value().f32()[0], 0.5f * (at(2) + at(3)), 1e-4);
}

TEST(CaptionSubject, PiecesMustBeThere) {
  const Explained explained(golden("B5_blip"));
  AskedWords words = explained.words;
  words.pieces = {5};
  EXPECT_THAT(vit::test::failure([&] { CaptionSubject(explained.model, words); }), testing::HasSubstr("no piece 5"));
  words.pieces = {};
  EXPECT_THAT(vit::test::failure([&] { CaptionSubject(explained.model, words); }), testing::HasSubstr("no words"));
}

}  // namespace
}  // namespace captioning
