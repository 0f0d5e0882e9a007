// `vitkit train` with a captioner: what a run leaves, that it can be resumed to the byte and used as a model, and what
// is refused.
#include "tests/apps/train_verb.h"
#include "tests/support/image_encode.h"

namespace vit::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// Everything that has a state of its own: draws of attention with their baseline, own words, dropout, averages.
constexpr const char* kTinyCaptioner = R"(
model:
  type: show_attend_tell
  img_size: [32, 32]
  backbone: {type: resnet, block: basic, layers: [1, 1], channels: [8, 12], stem_channels: 8}
  region_dim: 12
  embed_dim: 12
  hidden_dim: 16
  attention: {type: hard, estimator: reinforce}
  dropout: 0.1
data_dir: scenes:1:24:32
val_data_dir: scenes:2:6:32
tokenizer: {vocab_size: 120, all_bytes: false}
caption: {scheduled_sampling: 0.5, label_smoothing: 0.1}
generation: {num_beams: 2, max_new_tokens: 12}
batch_size: 4
epochs: 3
warmup_epochs: 1
sched_on_updates: true
lr: 0.002
model_ema: true
model_ema_decay: 0.9
checkpoint_interval: 2
log_interval: 2
seed: 5
)";

class TrainCaptioning : public TrainVerb {
 protected:
  TrainCaptioning() { config_ = dir_.write("captioner.yaml", kTinyCaptioner).string(); }
};

TEST_F(TrainCaptioning, ARunLeavesAModelItsTokenizerAndItsFigures) {
  const CommandResult result = train("run", {"--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<nlohmann::json> epochs = json_lines(result.out);
  ASSERT_EQ(epochs.size(), 3u);
  for (const char* figure : {"bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider", "loss", "val_loss"})
    EXPECT_TRUE(epochs[2].contains(figure)) << figure;
  EXPECT_THAT(result.err, HasSubstr("24 pictures with captions of 120 tokens"));
  EXPECT_THAT(result.err, HasSubstr("best cider"));
  EXPECT_THAT(slurp(dir_ / "run/metrics.csv"), HasSubstr("bleu4"));
  EXPECT_THAT(slurp(dir_ / "run/config.yaml"), HasSubstr("eval_metric: cider"));
  const fs::path best = dir_ / "run/checkpoints/best";
  const nlohmann::json config = nlohmann::json::parse(slurp(best / "config.json"));
  EXPECT_EQ(config.at("vitkit").at("model").at("type"), "show_attend_tell");
  EXPECT_EQ(config.at("vitkit").at("model").at("vocab_size"), 120) << "the tokenizer's";
  EXPECT_EQ(config.at("pretrained_cfg").at("crop_pct"), 1.0) << "sentences are about the whole picture";
  EXPECT_FALSE(config.contains("label_names"));
  const nlohmann::json generation = nlohmann::json::parse(slurp(best / "generation_config.json"));
  EXPECT_EQ(generation.at("num_beams"), 2);
  EXPECT_EQ(generation.at("max_new_tokens"), 12);
  EXPECT_EQ(generation.at("bos_token_id"), 1);
  EXPECT_TRUE(fs::exists(best / "tokenizer.json"));

  // It is a model to go on with, with its vocabulary, on other pictures.
  config_ = dir_.write("tune.yaml",
                       "data_dir: scenes:3:8:32\nval_data_dir: scenes:2:6:32\nbatch_size: 4\nepochs: 1\n"
                       "warmup_epochs: 0\nlr: 0.001\nplots: false\n")
                .string();
  const CommandResult tuned = train("tuned", {"model=" + path("run"), "generation.max_new_tokens=9"});
  ASSERT_EQ(tuned.status, 0) << tuned.err;
  EXPECT_THAT(tuned.err, HasSubstr("fine-tuning"));
  EXPECT_EQ(slurp(dir_ / "tuned/checkpoints/last/tokenizer.json"), slurp(best / "tokenizer.json"));
  const nlohmann::json kept = nlohmann::json::parse(slurp(dir_ / "tuned/checkpoints/last/generation_config.json"));
  EXPECT_EQ(kept.at("num_beams"), 2) << "the checkpoint's";
  EXPECT_EQ(kept.at("max_new_tokens"), 9) << "the run's";

  // Without its tokenizer it is no captioner.
  fs::copy(dir_ / "run/checkpoints/best/", dir_ / "bare", fs::copy_options::recursive);
  fs::remove(dir_ / "bare/tokenizer.json");
  expect_error(train("again", {"model=" + path("bare")}), 2, {"bare", "has no tokenizer"});
}

TEST_F(TrainCaptioning, AStoppedRunGoesOnToTheSameBytes) {
  ASSERT_EQ(train("whole").status, 0);
  ASSERT_EQ(train("parts", {"max_minutes=0.00001"}).status, 0);
  ASSERT_EQ(train("parts", {"--resume", "max_minutes=0.00001", "--threads", "1"}).status, 0);
  ASSERT_EQ(train("parts", {"--resume"}).status, 0);
  expect_same_run("whole", "parts");
}

TEST_F(TrainCaptioning, ATransformerLearnsToo) {
  const CommandResult result = train(
      "run", {"model={type: transformer_captioner, img_size: [32, 32], d_model: 16, decoder_ffn_dim: 24, backbone: "
              "{type: resnet, block: basic, layers: [1, 1], channels: [8, 12], stem_channels: 8}}",
              "epochs=1", "warmup_epochs=0", "caption.doubly_stochastic=0.5"});
  EXPECT_EQ(result.status, 0) << result.err;
}

TEST_F(TrainCaptioning, ABackboneBeginsWithAnImageModelsOrADetectorsWeights) {
  config_ =
      dir_.write("classes.yaml",
                 "model: {type: resnet, block: basic, layers: [1, 1], channels: [8, 12], stem_channels: 8, img_size: "
                 "[32, 32], num_classes: 10}\ndata_dir: scenes:1:8:32\nval_data_dir: scenes:2:4:32\n"
                 "allow_empty_classes: true\nbatch_size: 4\nepochs: 1\nwarmup_epochs: 0\nplots: false\n")
          .string();
  ASSERT_EQ(train("classes").status, 0);
  config_ = dir_.write("captioner.yaml", kTinyCaptioner).string();
  const CommandResult result = train("run", {"init_from=" + path("classes"), "epochs=1", "warmup_epochs=0"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("tensors from " + path("classes")));
  EXPECT_THAT(result.err, Not(HasSubstr("vitkit: 0 of")));
}

TEST_F(TrainCaptioning, PositionsOfABackboneFitOtherSizes) {
  const std::string vit = "type: vit, patch_size: [8, 8], embed_dim: 8, depth: 1, num_heads: 2";
  const auto taken = [&](const std::string& name, int side) {
    const std::string size = "[" + std::to_string(side) + ", " + std::to_string(side) + "]";
    config_ =
        dir_.write("classes.yaml", "model: {" + vit + ", img_size: " + size +
                                       ", num_classes: 10}\ndata_dir: scenes:1:8:32\nval_data_dir: scenes:2:4:32\n"
                                       "allow_empty_classes: true\nbatch_size: 4\nepochs: 1\nwarmup_epochs: 0\n"
                                       "plots: false\n")
            .string();
    EXPECT_EQ(train(name).status, 0);
    config_ = dir_.write("captioner.yaml", kTinyCaptioner).string();
    const CommandResult result = train(
        "captions-" + name, {"init_from=" + path(name), "model.backbone={" + vit + "}", "epochs=1", "warmup_epochs=0"});
    EXPECT_EQ(result.status, 0) << result.err;
    return result.err.substr(0, result.err.find(" tensors"));
  };
  EXPECT_EQ(taken("small", 16), taken("same", 32)) << "the position table is among them";
}

TEST_F(TrainCaptioning, KeysOfOtherKindsAreRefused) {
  expect_error(train("run", {"smoothing=0.2", "augment.mosaic=0.5", "keep_ratio=true"}), 2,
               {"smoothing", "augment.mosaic", "keep_ratio", "is a captioner", "caption_augment"});
  expect_error(train("run", {"eval_metric=top5"}), 2, {"eval_metric", "'top5'", "cider"});
  expect_error(train("run", {"caption.doubly_stocastic=1"}), 2, {"doubly_stocastic", "did you mean"});
  expect_error(train("run", {"generation.num_beams=0"}), 2, {"num_beams", "0"});
  expect_error(train("run", {"tokenizer.vocab_size=3"}), 2, {"tokenizer", "a vocabulary of 3"});
  config_ = dir_.write("classifier.yaml", kTinyTraining).string();
  expect_error(train("run", {"caption.label_smoothing=0.5"}), 2, {"caption.label_smoothing", "is a classifier"});
}

TEST_F(TrainCaptioning, DataWithoutCaptionsAreRefusedAndBadOnesListed) {
  const auto pictures = [&](const std::string& folder) {
    for (const char* name : {"a.ppm", "b.ppm", "c.ppm", "d.ppm"})
      dir_.write(folder + "/" + name, encode_ppm(pattern(32, 32)));
  };
  fs::create_directories(dir_ / "classes/train/x");
  fs::create_directories(dir_ / "photos");
  pictures("classes/train/x");
  expect_error(train("run", {"data_dir=" + path("classes"), "val_data_dir=\"\"", "val_ratio=0.5"}), 2, {"caption"});
  pictures("photos");
  dir_.write("photos/captions.tsv",
             "a.ppm\ta red star\nb.ppm\ta blue ring\nc.ppm\t \nmissing.ppm\tnobody\nd.ppm\ta green leaf\n");
  const CommandResult result = train("run", {"data_dir=" + path("photos"), "val_data_dir=\"\"", "val_ratio=0.34",
                                             "batch_size=2", "tokenizer.min_frequency=1"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("bad_captions.jsonl lists them"));
  const std::string bad = slurp(dir_ / "run/bad_captions.jsonl");
  EXPECT_THAT(bad, HasSubstr("c.ppm"));
  EXPECT_THAT(bad, HasSubstr("missing.ppm"));
}

}  // namespace
}  // namespace vit::test
