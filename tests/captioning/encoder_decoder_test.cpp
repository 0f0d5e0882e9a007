// ViT-GPT2 and BLIP: checkpoints of transformers' form, prompts, what words look at, generation settings. The
// originals' numbers are the parity cases B4 and B5.
#include "captioning/encoder_decoder.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "captioning/generate.h"
#include "tests/support/errors.h"
#include "tests/support/hugging_face_checkpoint.h"
#include "tests/support/model_check.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"
#include "vit/io/checkpoint.h"
#include "vit/io/weights.h"
#include "vit/models/build.h"

namespace captioning {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::Context;
using vit::Tensor;

nlohmann::json vit_gpt2(int64_t decoder_width) {
  return {{"model_type", "vision-encoder-decoder"},
          {"encoder",
           {{"model_type", "vit"},
            {"architectures", {"ViTForImageClassification"}},
            {"image_size", 16},
            {"patch_size", 8},
            {"hidden_size", 12},
            {"num_hidden_layers", 1},
            {"num_attention_heads", 2},
            {"intermediate_size", 20}}},
          {"decoder",
           {{"model_type", "gpt2"},
            {"vocab_size", 19},
            {"n_positions", 10},
            {"n_embd", decoder_width},
            {"n_layer", 2},
            {"n_head", 2}}},
          {"decoder_start_token_id", 18},
          {"eos_token_id", 17},
          {"pad_token_id", 16}};
}

nlohmann::json blip() {
  return {{"model_type", "blip"},
          {"text_config",
           {{"vocab_size", 19},
            {"hidden_size", 12},
            {"num_hidden_layers", 2},
            {"num_attention_heads", 2},
            {"intermediate_size", 20},
            {"max_position_embeddings", 10},
            {"bos_token_id", 18},
            {"sep_token_id", 5},
            {"num_beams", 3}}},
          {"vision_config",
           {{"image_size", 16},
            {"patch_size", 8},
            {"hidden_size", 16},
            {"num_hidden_layers", 1},
            {"num_attention_heads", 2},
            {"intermediate_size", 20}}}};
}

Tensor picture(int64_t count = 1) {
  Tensor images = Tensor::empty({count, 3, 16, 16});
  vit::Rng rng(3);
  vit::fill_normal(images, rng, 1.0f);
  return images;
}

class CaptionCheckpoint : public testing::Test {
 protected:
  const CaptionModel& load(const nlohmann::json& config) {
    vit::test::write_hugging_face_checkpoint(folder_.path(), config, 1);
    model_ = vit::load_model(checkpoint());
    return dynamic_cast<const CaptionModel&>(*model_);
  }
  vit::Checkpoint checkpoint() const { return vit::Checkpoint::open(folder_.path().string()); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_.path() / name) << text; }

  vit::test::TempDir folder_;
  std::unique_ptr<vit::ImageModel> model_;
};

TEST_F(CaptionCheckpoint, OfVitGpt2HasTheOriginalsNamesAndOrientation) {
  load(vit_gpt2(20));
  const vit::Weights weights = vit::Weights::open(folder_.path());
  const auto shape = [&](const std::string& name) {
    const vit::TensorInfo* found = weights.find(name);
    return found ? found->shape : vit::Shape{};
  };
  EXPECT_EQ(shape("decoder.transformer.h.1.attn.c_attn.weight"), vit::Shape({20, 60}));
  EXPECT_EQ(shape("decoder.transformer.h.0.crossattention.c_attn.weight"), vit::Shape({20, 40}));
  EXPECT_EQ(shape("decoder.transformer.h.0.mlp.c_fc.weight"), vit::Shape({20, 80}));
  EXPECT_EQ(shape("enc_to_dec_proj.weight"), vit::Shape({20, 12}));
  EXPECT_EQ(shape("encoder.encoder.layer.0.attention.attention.key.weight"), vit::Shape({12, 12}));
  EXPECT_FALSE(weights.contains("decoder.lm_head.weight"));
}

TEST_F(CaptionCheckpoint, ProjectsOnlyBetweenDifferentWidths) {
  load(vit_gpt2(12));
  EXPECT_FALSE(vit::Weights::open(folder_.path()).contains("enc_to_dec_proj.weight"));
}

TEST_F(CaptionCheckpoint, IsTheSameModelWhenItIsDescribedAndBuilt) {
  for (const nlohmann::json& config : {vit_gpt2(20), blip()}) {
    const CaptionModel& model = load(config);
    const vit::ConfigNode described = vit::ConfigNode::parse(model.describe().to_yaml(), "described");
    const auto built = vit::build_model(described, "built");
    std::vector<std::string> names, expected;
    built->visit_parameters(
        [&](const std::string& name, vit::Parameter& p) { names.push_back(vit::str(name, p.shape)); });
    model_->visit_parameters(
        [&](const std::string& name, vit::Parameter& p) { expected.push_back(vit::str(name, p.shape)); });
    EXPECT_EQ(names, expected);
  }
}

TEST_F(CaptionCheckpoint, GivesTheSameWithAndWithoutATape) {
  for (const nlohmann::json& config : {vit_gpt2(20), blip()}) {
    const vit::ConfigNode described = load(config).describe();
    const vit::test::MakeModel make = [&] { return vit::build_model(described, "made"); };
    vit::test::expect_same_with_and_without_tape(make, picture(2));
    vit::test::expect_same_when_checkpointing(make, picture(2));
    vit::test::expect_same_on_any_threads(make, picture(2));
  }
}

TEST_F(CaptionCheckpoint, WritesTheSameForAPictureInAnyBatch) {
  const CaptionModel& model = load(vit_gpt2(20));
  Context ctx;
  const Tensor encoded = model.encode(ctx, picture(3)).value();
  for (const GenerationConfig& config :
       {GenerationConfig{.max_length = 10},
        GenerationConfig{.num_beams = 3, .max_length = 10, .num_return_sequences = 2}}) {
    const auto together = generate(ctx, model, encoded, {}, config);
    for (int64_t p = 0; p < 3; ++p) {
      const auto alone = generate(ctx, model, encoded.slice(p, p + 1), {}, config);
      for (size_t i = 0; i < alone[0].size(); ++i) {
        EXPECT_EQ(together[static_cast<size_t>(p)][i].ids, alone[0][i].ids);
        EXPECT_EQ(together[static_cast<size_t>(p)][i].score, alone[0][i].score);
      }
    }
  }
}

TEST_F(CaptionCheckpoint, PromptsBeginAsTheOriginalsDo) {
  EXPECT_THAT(load(vit_gpt2(12)).prompt_ids({3, 4}), ElementsAre(18, 3, 4));
  EXPECT_THAT(model_->info().name, "vision-encoder-decoder");
  EXPECT_THAT(load(blip()).prompt_ids({4, 9, 8, 5}), ElementsAre(18, 9, 8));
}

/// Keeps one observed tensor.
struct Watch : vit::Observer {
  explicit Watch(std::string wanted) : name(std::move(wanted)) {}
  bool wants(const std::string& asked) override { return asked == name; }
  void observe(const std::string&, const Tensor& value) override { seen = value.clone(); }
  std::string name;
  Tensor seen;
};

TEST_F(CaptionCheckpoint, WordsSayWhereTheyLook) {
  const CaptionModel& model = load(blip());
  EXPECT_EQ(model.attention_layers(), 2);
  const WordAttention attention = model.word_attention(1);
  Watch watch(attention.name);
  Context ctx;
  ctx.observer = &watch;
  model.logits(ctx, model.encode(ctx, picture()), Tensor::from<int64_t>({18, 3, 4}, {1, 3}), {});
  ASSERT_TRUE(watch.seen.defined());
  EXPECT_EQ(watch.seen.shape(), vit::Shape({1, 2, 3, attention.prefix_tokens + attention.grids.at(0).count()}));
  double sum = 0.0;
  for (const float p : watch.seen.span<float>()) sum += p;
  EXPECT_NEAR(sum, 6.0, 1e-4);
}

TEST_F(CaptionCheckpoint, SettingsComeFromItsFiles) {
  load(vit_gpt2(12));
  EXPECT_EQ(read_generation_config(checkpoint()).num_beams, 1);
  write("generation_config.json",
        R"({"num_beams": 4, "early_stopping": "never", "max_length": 9, "decoder_start_token_id": 7, "bos_token_id": 6,
            "eos_token_id": [3, 4], "pad_token_id": 2, "temperature": null})");
  const GenerationConfig read = read_generation_config(checkpoint());
  EXPECT_EQ(read.num_beams, 4);
  EXPECT_EQ(read.early_stopping, EarlyStopping::never);
  EXPECT_EQ(read.max_length, 9);
  EXPECT_EQ(read.start, 7);
  EXPECT_THAT(read.ends.value(), ElementsAre(3, 4));
  EXPECT_EQ(read.pad, 2);
  write("generation_config.json", R"({"num_beams": 0})");
  EXPECT_THAT(vit::test::usage_error([&] { read_generation_config(checkpoint()); }),
              testing::AllOf(HasSubstr("generation_config.json"), HasSubstr("num_beams")));
  write("generation_config.json", R"({"early_stopping": 3})");
  EXPECT_THAT(vit::test::usage_error([&] { read_generation_config(checkpoint()); }), HasSubstr("early_stopping"));
}

TEST_F(CaptionCheckpoint, OfBlipStartsAndEndsAsItsTextDecoderSays) {
  const CaptionModel& model = load(blip());
  write("generation_config.json", R"({"bos_token_id": 1, "eos_token_id": 2, "max_new_tokens": 4})");
  const GenerationConfig read = read_generation_config(checkpoint());
  EXPECT_FALSE(read.ends || read.start);
  EXPECT_EQ(read.num_beams, 3);
  EXPECT_EQ(read.max_new_tokens, 4);
  EXPECT_EQ(model.start_and_end().start, 18);
  EXPECT_THAT(model.start_and_end().ends, ElementsAre(5));
}

TEST_F(CaptionCheckpoint, RefusesOtherFamilies) {
  const auto message = [&](const std::string& part, const std::string& key, const nlohmann::json& value) {
    nlohmann::json config = vit_gpt2(12);
    config[part][key] = value;
    return vit::test::usage_error([&] { vit::plan_model({config, "config.json", nullptr}); });
  };
  EXPECT_THAT(message("decoder", "model_type", "bert"), HasSubstr("config.json: decoder.model_type: expected 'gpt2'"));
  nlohmann::json swin = vit_gpt2(12);
  swin["encoder"] = {{"model_type", "swin"}};
  EXPECT_THAT(vit::test::usage_error([&] {
                vit::plan_model({swin, "config.json", nullptr});
              }),
              HasSubstr("'vit', 'deit' or 'dinov2'"));
  EXPECT_THAT(message("decoder", "scale_attn_by_inverse_layer_idx", true), HasSubstr("scale_attn_by_inverse"));
  EXPECT_THAT(message("decoder", "n_head", 5), HasSubstr("num_heads 5"));
  load(blip());
  EXPECT_THAT(vit::test::usage_error([&] { model_->replace_head(3); }), HasSubstr("vocabulary"));
}

TEST(EncoderDecoder, RefusesConfigurationsThatDoNotFit) {
  const auto message = [](const std::string& yaml) {
    return vit::test::usage_error([&] { vit::build_model(vit::ConfigNode::parse(yaml, "model.yaml"), "model"); });
  };
  EXPECT_THAT(message("{type: encoder_decoder}"), HasSubstr("needs an `encoder`"));
  const std::string encoder =
      "encoder: {type: vit, img_size: [16, 16], patch_size: [8, 8], embed_dim: 12, num_heads: 2}";
  EXPECT_THAT(message("{type: encoder_decoder, " + encoder + "}"), HasSubstr("decoder.memory_dim 768 must be 12"));
  EXPECT_THAT(message("{type: encoder_decoder, start: 99999, " + encoder + "}"), HasSubstr("`start` 99999"));
  EXPECT_THAT(message("{type: encoder_decoder, encoder: {type: resnet}}"), HasSubstr("must be a vision transformer"));
}

}  // namespace
}  // namespace captioning
