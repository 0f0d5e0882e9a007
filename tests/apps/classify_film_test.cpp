// Models of clips in the verbs: whole films, pictures that are none, data sets of clips, and training.
#include <filesystem>

#include "tests/apps/verb_test.h"
#include "tests/support/film.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class ClassifyFilm : public VerbTest {
 protected:
  ClassifyFilm() {
    dir_.write("clips.yaml",
               "{type: timesformer, num_frames: 4, img_size: [16, 16], patch_size: 8, num_classes: 8, embed_dim: 8, "
               "depth: 1, num_heads: 2, mlp_hidden: 8}");
  }
  CommandResult classify(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"classify", "--model", path("clips.yaml"), "--topk", "1"});
    return run_vitkit(arguments);
  }
};

TEST_F(ClassifyFilm, OneAnswerForAFilmWithItsFrames) {
  const std::string film = write_film(path("film.avi"), 20, 10.0);
  const CommandResult result = classify({"--format", "json", film});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0]["source"], film);
  EXPECT_EQ(answers[0]["frames"], (std::vector<int64_t>{2, 7, 12, 17}));
  EXPECT_NEAR(answers[0]["times_s"][1].get<double>(), 0.7, 1e-3);
  EXPECT_EQ(answers[0]["predictions"].size(), 1u);
  EXPECT_EQ(classify({"--format", "csv", film}).lines().size(), 2u);
  const auto strided = records(classify({"--format", "json", "--vid-stride", "2", film}));
  EXPECT_EQ(strided[0]["frames"], (std::vector<int64_t>{2, 6, 12, 16}));
}

TEST_F(ClassifyFilm, PicturesAndBrokenFilmsDoNotStopTheOthers) {
  dir_.write("text.avi", "no film");
  const std::string film = write_film(path("film.avi"), 5);
  const CommandResult result = classify({"--format", "json", jpeg("a.jpg"), path("text.avi"), film, path("none.avi")});
  EXPECT_EQ(result.status, 1);
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_THAT(answers[0]["error"].get<std::string>(), HasSubstr("wants a film: it sees 4 frames at once"));
  EXPECT_TRUE(answers[1].contains("error"));
  EXPECT_EQ(answers[2]["predictions"].size(), 1u);
  EXPECT_TRUE(answers[3].contains("error"));
  expect_refused(classify({"0"}), "a live source has no end");
}

TEST_F(ClassifyFilm, EvaluatesClipsAndRefusesPictures) {
  const CommandResult result =
      run_vitkit({"evaluate", "--model", path("clips.yaml"), "--data", "actions:1:12:4:16", "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(records(result).at(0)["images"], 12);
  // Clips of other frames, and pictures, are no strips of four frames.
  const CommandResult other =
      run_vitkit({"evaluate", "--model", path("clips.yaml"), "--data", "actions:1:2:5:16", "--format", "json"});
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.err, HasSubstr("wants a clip of 4 frames, beneath one another; a picture of 80 x 16 is none"));
}

TEST_F(ClassifyFilm, TrainsOnGeneratedClips) {
  dir_.write(
      "run.yaml",
      "{model: {type: timesformer, num_frames: 4, img_size: [16, 16], patch_size: 8, num_classes: 8, embed_dim: 8, "
      "depth: 1, num_heads: 2, mlp_hidden: 8}, data_dir: 'actions:1:64:4:16', val_data_dir: 'actions:2:8:4:16', "
      "batch_size: 16, epochs: 1, warmup_epochs: 0, output: " +
          path("run") + "}");
  const CommandResult mirrored = run_vitkit({"train", path("run.yaml")});
  EXPECT_EQ(mirrored.status, 2);
  EXPECT_THAT(mirrored.err, HasSubstr("set hflip: 0"));
  const CommandResult result = run_vitkit({"train", path("run.yaml"), "hflip=0", "epochs=2"});
  ASSERT_EQ(result.status, 0) << result.err;
  const CommandResult evaluated = run_vitkit(
      {"evaluate", "--model", path("run/checkpoints/best"), "--data", path("run/config.yaml"), "--format", "json"});
  ASSERT_EQ(evaluated.status, 0) << evaluated.err;
  EXPECT_EQ(records(evaluated).at(0)["images"], 8);
  const std::string film = write_film(path("film.avi"), 9);
  const auto answers = records(
      run_vitkit({"classify", "--model", path("run/checkpoints/best"), "--format", "json", "--topk", "8", film}));
  EXPECT_THAT(answers.at(0)["predictions"].at(0)["label"].get<std::string>(),
              testing::AnyOf(HasSubstr("moves"), HasSubstr("grows"), HasSubstr("shrinks"), HasSubstr("blinks"),
                             HasSubstr("still")));
}

TEST_F(ClassifyFilm, ExplainsWhichFramesMattered) {
  const std::string film = write_film(path("film.avi"), 12, 10.0);
  const CommandResult result =
      run_vitkit({"explain", "--model", path("clips.yaml"), "--method", "frame_occlusion,temporal_attention", "--save",
                  path("out"), "--no-sanity", "--format", "json", film, jpeg("a.jpg")});
  EXPECT_EQ(result.status, 1) << "the picture is none";
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 3u);
  for (size_t i = 0; i < 2; ++i) {
    double sum = 0.0;
    ASSERT_EQ(answers[i]["frame_shares"].size(), 4u);
    for (const auto& share : answers[i]["frame_shares"]) sum += share.get<double>();
    EXPECT_NEAR(sum, 1.0, 1e-6);
  }
  EXPECT_THAT(answers[2]["error"].get<std::string>(), HasSubstr("wants a film"));
  for (const char* file : {"film_frame_occlusion_frames.png", "film_temporal_attention_frames.png", "report.html"})
    EXPECT_TRUE(std::filesystem::exists(dir_ / "out" / file)) << file;
  const CommandResult picture =
      run_vitkit({"explain", "--model", model(), "--method", "frame_occlusion", jpeg("a.jpg")});
  EXPECT_EQ(picture.status, 2);
  EXPECT_THAT(picture.err, HasSubstr("it sees pictures"));
}

TEST_F(ClassifyFilm, ScenesWritesFilmsOfActions) {
  const CommandResult result = run_vitkit({"scenes", path("films"), "--actions", "--clip", "12", "--size", "32",
                                           "--count", "2", "--seed", "5", "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto truth = records(result);
  ASSERT_EQ(truth.size(), 2u);
  EXPECT_EQ(truth[1]["label"], "moves left");
  EXPECT_EQ(truth[1]["event"].size(), 2u);
  EXPECT_THAT(truth[1]["source"].get<std::string>(), HasSubstr("moves_left/000001.avi"));
  const auto answers = records(classify({"--format", "json", path("films")}));
  EXPECT_EQ(answers.size(), 2u);
  expect_refused(run_vitkit({"scenes", path("x"), "--actions"}), "add --clip FRAMES");
  expect_refused(run_vitkit({"scenes", path("x"), "--actions", "--clip", "8", "--coco"}), "no boxes for --coco");
  expect_refused(run_vitkit({"scenes", path("x"), "--actions", "--clip", "8", "--size", "1024"}), "at most 512");
}

}  // namespace
}  // namespace vit::test
