// `vitkit train` with a detector: what a run leaves, that it can be resumed to the byte and used as a model, and what
// is refused.
#include "tests/apps/train_verb.h"
#include "tests/support/image_encode.h"

namespace vit::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kTinyDetector = R"(
model:
  type: rt_detr
  img_size: [48, 48]
  num_classes: 3
  backbone: {type: resnet, block: basic, layers: [1, 1, 1, 1], channels: [8, 8, 12, 16], stem_channels: 8}
  encoder_hidden_dim: 16
  encoder_ffn_dim: 16
  encoder_attention_heads: 2
  csp_blocks: 1
  d_model: 16
  num_queries: 8
  decoder_layers: 2
  decoder_ffn_dim: 16
  decoder_attention_heads: 2
  decoder_n_points: 2
  num_denoising: 4
data_dir: scenes:1:12:48
val_data_dir: scenes:2:6:48
allow_empty_classes: true
batch_size: 4
epochs: 2
warmup_epochs: 1
sched_on_updates: true
lr: 0.002
clip_grad: 0.1
model_ema: true
model_ema_decay: 0.9
augment: {scale_jitter: [0.8, 1.2], mosaic: 0.3}
checkpoint_interval: 2
log_interval: 2
seed: 5
)";

class TrainDetection : public TrainVerb {
 protected:
  TrainDetection() { config_ = dir_.write("detector.yaml", kTinyDetector).string(); }
};

TEST_F(TrainDetection, ARunLeavesAModelAndItsFigures) {
  const CommandResult result = train("run", {"--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<nlohmann::json> epochs = json_lines(result.out);
  ASSERT_EQ(epochs.size(), 2u);
  for (const char* figure :
       {"map", "map50", "map75", "mar100", "loss", "val_loss", "loss_vfl", "loss_bbox", "loss_giou"})
    EXPECT_TRUE(epochs[1].contains(figure)) << figure;
  EXPECT_THAT(result.err, HasSubstr("10 classes"));
  EXPECT_THAT(result.err, HasSubstr("best map"));
  EXPECT_THAT(slurp(dir_ / "run/metrics.csv"), HasSubstr("map50"));
  const nlohmann::json config = nlohmann::json::parse(slurp(dir_ / "run/checkpoints/best/config.json"));
  EXPECT_EQ(config.at("vitkit").at("model").at("type"), "rt_detr");
  EXPECT_EQ(config.at("num_classes"), 10);
  EXPECT_EQ(config.at("label_names").size(), 10u);
  const nlohmann::json pixels = nlohmann::json::parse(slurp(dir_ / "run/checkpoints/best/preprocessor_config.json"));
  EXPECT_EQ(pixels.at("size").at("height"), 48);
  const std::string resolved = slurp(dir_ / "run/config.yaml");
  EXPECT_THAT(resolved, HasSubstr("class_loss: varifocal")) << "the criterion is complete";
  EXPECT_THAT(resolved, HasSubstr("eval_metric: map"));
  EXPECT_FALSE(fs::exists(dir_ / "run/bad_boxes.jsonl"));

  // What it wrote is a model to begin with: other classes get a head of their own.
  const CommandResult again = train("tuned", {"model=" + path("run/checkpoints/last"), "epochs=1", "warmup_epochs=0"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("fine-tuning"));
  EXPECT_THAT(again.err, Not(HasSubstr("a new head")));
}

TEST_F(TrainDetection, AStoppedRunGoesOnToTheSameBytes) {
  ASSERT_EQ(train("whole").status, 0);
  ASSERT_EQ(train("parts", {"max_minutes=0.00001"}).status, 0);
  ASSERT_EQ(train("parts", {"--resume", "max_minutes=0.00001", "--threads", "1"}).status, 0);
  ASSERT_EQ(train("parts", {"--resume"}).status, 0);
  expect_same_run("whole", "parts");
}

TEST_F(TrainDetection, KeysOfTheOtherKindAreRefused) {
  expect_error(train("run", {"smoothing=0.2", "linear_probe=true"}), 2,
               {"smoothing", "linear_probe", "is a detector", "augment"});
  expect_error(train("run", {"eval_metric=top5"}), 2, {"eval_metric", "'top5'", "map50"});
  expect_error(train("run", {"criterion.cost_clas=3"}), 2, {"cost_clas", "did you mean 'cost_class'"});
  expect_error(train("run", {"criterion.class_loss=cross_entropy"}), 2, {"criterion.class_loss", "focal or varifocal"});
  expect_error(train("run", {"criterion={cost_class: 0, cost_bbox: 0, cost_giou: 0}"}), 2, {"nothing to match by"});
  config_ = dir_.write("classifier.yaml", kTinyTraining).string();
  expect_error(train("run", {"augment.mosaic=0.5"}), 2, {"augment.mosaic", "is a classifier"});
  expect_error(train("run", {"criterion.eos_coef=0.2"}), 2, {"criterion", "is a classifier"});
  expect_error(train("run", {"eval_metric=map"}), 2, {"eval_metric", "'map'", "top1"});
  EXPECT_FALSE(fs::exists(dir_ / "run"));
}

TEST_F(TrainDetection, DataWithoutBoxesAreRefused) {
  for (const char* split : {"train", "val"})
    for (const char* label : {"cat", "dog"})
      dir_.write(std::string("pictures/") + split + "/" + label + "/0.jpg", encode_jpeg(pattern(40, 30)));
  expect_error(train("run", {"data_dir=" + path("pictures"), "val_data_dir=''"}), 2, {"no boxes", "coco"});
  EXPECT_FALSE(fs::exists(dir_ / "run"));
}

/// A COCO data set of one picture size; `boxes` is JSON.
void write_coco(const TempDir& dir, const std::string& name, const std::string& boxes) {
  std::string images;
  for (int i = 0; i < 4; ++i) {
    dir.write(name + "/images/" + std::to_string(i) + ".jpg", encode_jpeg(pattern(48, 48)));
    images += str(i ? "," : "", R"({"id":)", i, R"(,"file_name":")", i, R"(.jpg","width":48,"height":48})");
  }
  const std::string text =
      R"({"images":[)" + images + R"(],"categories":[{"id":7,"name":"thing"}],"annotations":[)" + boxes + "]}";
  dir.write(name + "/train.json", text);
  dir.write(name + "/val.json", text);
}

TEST_F(TrainDetection, BadBoxesAreListed) {
  write_coco(dir_, "coco",
             R"({"id":1,"image_id":0,"category_id":7,"bbox":[10,10,20,20],"area":400,"iscrowd":0},)"
             R"({"id":2,"image_id":1,"category_id":7,"bbox":[10,10,0,20],"area":0,"iscrowd":0},)"
             R"({"id":3,"image_id":2,"category_id":7,"bbox":[30,30,40,40],"area":1600,"iscrowd":0})");
  const CommandResult result =
      train("run", {"data_dir=" + path("coco"), "val_data_dir=''", "epochs=1", "warmup_epochs=0"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("bad_boxes.jsonl"));
  const std::vector<nlohmann::json> rows = json_lines(slurp(dir_ / "run/bad_boxes.jsonl"));
  ASSERT_EQ(rows.size(), 4u) << "two of each split";
  EXPECT_FALSE(rows[0].at("repaired").get<bool>());
  EXPECT_TRUE(rows[1].at("repaired").get<bool>());
  EXPECT_EQ(train("run", {"data_dir=" + path("coco"), "val_data_dir=''", "epochs=1", "warmup_epochs=0", "--overwrite"})
                .status,
            0);

  write_coco(dir_, "empty", R"({"id":2,"image_id":1,"category_id":7,"bbox":[10,10,0,20],"area":0,"iscrowd":0})");
  expect_error(train("none", {"data_dir=" + path("empty"), "val_data_dir=''"}), 2,
               {"no box in the whole set", "doctor"});
}

}  // namespace
}  // namespace vit::test
