// CLIP as a classifier of texts. The original's numbers are the parity case B7.
#include "captioning/clip.h"

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "tests/support/hugging_face_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"
#include "vit/io/checkpoint.h"
#include "vit/models/build.h"

namespace captioning {
namespace {

using testing::HasSubstr;
using vit::Context;
using vit::Tensor;

nlohmann::json tiny_clip() {
  return {{"model_type", "clip"},
          {"projection_dim", 6},
          {"text_config",
           {{"vocab_size", 614},
            {"hidden_size", 8},
            {"num_hidden_layers", 1},
            {"num_attention_heads", 2},
            {"intermediate_size", 12},
            {"max_position_embeddings", 9},
            {"eos_token_id", 2}}},
          {"text_config_dict", nullptr},
          {"vision_config", {{"image_size", 32}}},
          {"vision_config_dict",
           {{"image_size", 16},
            {"patch_size", 8},
            {"hidden_size", 12},
            {"num_hidden_layers", 1},
            {"num_attention_heads", 2},
            {"intermediate_size", 20}}}};
}

class ClipTest : public testing::Test {
 protected:
  ClipTest() {
    vit::test::write_hugging_face_checkpoint(folder_.path(), tiny_clip(), 2);
    model_ = vit::load_model(vit::Checkpoint::open(folder_.path().string()));
    vit::Rng rng(1);
    vit::fill_normal(images_, rng, 1.0f);
  }
  Clip& clip() { return dynamic_cast<Clip&>(*model_); }
  Tensor logits(const std::vector<std::string>& labels) {
    clip().set_labels(tokenizer_, labels);
    Context ctx;
    return clip().forward(ctx, images_).value();
  }

  vit::test::TempDir folder_;
  std::unique_ptr<vit::ImageModel> model_;
  Tensor images_ = Tensor::empty({2, 3, 16, 16});
  Tokenizer tokenizer_ = Tokenizer::load(std::string(VITKIT_SOURCE_DIR) + "/tests/goldens/B7_clip");
};

TEST_F(ClipTest, OldFilesPartsWithDictGoFirst) { EXPECT_EQ(model_->info().input_size[0], 16); }

TEST_F(ClipTest, WithoutLabelsTheAnswerIsAUnitVector) {
  Context ctx;
  const Tensor vectors = clip().forward(ctx, images_).value();
  EXPECT_EQ(vectors.shape(), vit::Shape({2, 6}));
  double square = 0.0;
  for (int64_t i = 0; i < 6; ++i) square += static_cast<double>(vectors.f32()[i]) * vectors.f32()[i];
  EXPECT_NEAR(square, 1.0, 1e-5);
}

TEST_F(ClipTest, ALabelsLogitsDoNotDependOnTheOthers) {
  const Tensor both = logits({"a cat", "a photo of a dog"});
  EXPECT_EQ(both.shape(), vit::Shape({2, 2}));
  EXPECT_EQ(model_->info().num_classes, 2);
  const Tensor cat = logits({"a cat"}), dog = logits({"a photo of a dog"});
  for (int64_t b = 0; b < 2; ++b) {
    EXPECT_NEAR(both.f32()[2 * b], cat.f32()[b], 1e-4);
    EXPECT_NEAR(both.f32()[2 * b + 1], dog.f32()[b], 1e-4);
  }
  EXPECT_NE(both.f32()[0], both.f32()[1]);
}

TEST_F(ClipTest, RefusesLabelsThatItCannotRead) {
  EXPECT_THAT(vit::test::usage_error([&] { clip().set_labels(tokenizer_, {}); }), HasSubstr("no label"));
  const std::string longest = "a cat a cat a cat a cat a cat a cat a cat";
  EXPECT_THAT(vit::test::usage_error([&] { clip().set_labels(tokenizer_, {longest}); }), HasSubstr("9 positions"));
  EXPECT_THAT(vit::test::usage_error([&] { clip().replace_head(3); }), HasSubstr("--labels"));
}

TEST_F(ClipTest, TheFirstEndStandsForATextWhereFilesSayWhichItIs) {
  nlohmann::json config = tiny_clip();
  config["text_config"]["eos_token_id"] = 613;
  vit::test::write_hugging_face_checkpoint(folder_.path(), config, 2);
  const auto other = vit::load_model(vit::Checkpoint::open(folder_.path().string()));
  const auto& newer = dynamic_cast<const Clip&>(*other);
  Context ctx;
  // No id is larger than the end, so that both rules agree on whole texts.
  const Tensor ids = Tensor::from<int64_t>({612, 5, 613, 613}, {1, 4});
  const Tensor a = clip().encode_texts(ctx, ids, {}).value(), b = newer.encode_texts(ctx, ids, {}).value();
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(a.f32()[i], b.f32()[i]);
  EXPECT_THROW(newer.encode_texts(ctx, Tensor::from<int64_t>({612, 5}, {1, 2}), {}), vit::Error);
}

}  // namespace
}  // namespace captioning
