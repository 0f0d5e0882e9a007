// `vitkit explain` through the binary: records, files, what is refused, and that the rest goes on.
#include <algorithm>
#include <filesystem>

#include "tests/apps/verb_test.h"
#include "tests/support/film.h"
#include "tests/support/tiny_captioner.h"
#include "tests/support/tiny_detector.h"
#include "vit/core/file.h"
#include "vit/image/decode.h"
#include "vit/io/npy.h"

namespace vit::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

class ExplainVerb : public VerbTest {
 protected:
  CommandResult explain(Strings arguments) const {
    arguments.insert(arguments.begin(), {"explain", "--model", model(), "--samples", "20", "--steps", "4"});
    return run_vitkit(arguments);
  }
  std::vector<nlohmann::json> answers(Strings arguments) const {
    arguments.insert(arguments.begin(), {"--format", "json"});
    const CommandResult result = explain(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return records(result);
  }
};

TEST_F(ExplainVerb, RecordsHaveWhatIsPromised) {
  const std::string picture = jpeg("a.jpg");
  const auto all = answers({"--method", "rollout,gradcam", "--save", path("out"), picture});
  ASSERT_EQ(all.size(), 2u);
  for (const nlohmann::json& record : all) {
    for (const char* field : {"source", "method", "target", "index", "score", "layer", "map", "deletion_auc",
                              "insertion_auc", "road", "sanity", "notes", "seconds"})
      EXPECT_TRUE(record.contains(field)) << field << " in " << record;
    EXPECT_EQ(record["source"], picture);
    EXPECT_GE(record["deletion_auc"].get<double>(), 0.0);
    EXPECT_LE(record["insertion_auc"].get<double>(), 1.0);
    EXPECT_TRUE(record["sanity"]["verdict"].is_string());
    const Tensor map = read_npy(record["map"].get<std::string>());
    EXPECT_EQ(map.shape(), Shape({4, 4}));
  }
  EXPECT_EQ(all[0]["method"], "rollout");
  EXPECT_EQ(all[1]["method"], "gradcam");
}

TEST_F(ExplainVerb, WritesOverlaysGreyMapsSheetsAndAReport) {
  const auto all =
      answers({"--method", "rollout", "--save", path("out"), "--faithfulness", "never", jpeg("a.jpg", 64, 80)});
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all[0]["deletion_auc"].is_null());
  const fs::path out = path("out");
  const Image map = load_image(out / "a_rollout_map.png");
  EXPECT_EQ(map.height(), 64);
  EXPECT_EQ(map.width(), 80);
  EXPECT_GT(load_image(out / "a_rollout.png").width(), 2 * 80) << "picture and overlay side by side";
  EXPECT_TRUE(fs::exists(out / "a_heads.png"));
  EXPECT_GT(fs::file_size(out / "report.html"), 10'000u);
}

TEST_F(ExplainVerb, AllMethodsGiveTheSameBytesOnAnyNumberOfThreads) {
  const std::string picture = jpeg("a.jpg");
  const auto maps = [&](const std::string& threads, const std::string& folder) {
    std::map<std::string, std::string> bytes;
    for (const nlohmann::json& record :
         answers({"--method", "all", "--threads", threads, "--save", path(folder), "--faithfulness", "never", picture}))
      bytes[record["method"]] = read_file(record["map"].get<std::string>());
    return bytes;
  };
  const auto one = maps("1", "one"), two = maps("2", "two");
  EXPECT_GE(one.size(), 14u);
  EXPECT_EQ(one, two);
}

TEST_F(ExplainVerb, ExplainsTheClassThatIsNamed) {
  const std::string picture = jpeg("a.jpg");
  const Strings rest = {"--method", "gradcam", "--faithfulness", "never", picture};
  const auto of = [&](Strings more) {
    more.insert(more.end(), rest.begin(), rest.end());
    return answers(more);
  };
  EXPECT_EQ(of({"--target", "sea lion"})[0]["index"], 4);
  EXPECT_EQ(of({"--target", "2"})[0]["target"], "fish");
  const auto three = of({"--answers", "3"});
  ASSERT_EQ(three.size(), 3u);
  EXPECT_GE(three[0]["score"].get<double>(), three[1]["score"].get<double>());
  expect_refused(explain({"--target", "sealion", picture}), "'sea lion'");
}

TEST_F(ExplainVerb, RefusesWhatCannotBe) {
  const std::string picture = jpeg("a.jpg");
  expect_refused(explain({"--method", "rolout", picture}), "did you mean 'rollout'");
  expect_refused(explain({"--layer", "7", "--method", "attention", picture}), "there is no layer 7");
  expect_refused(explain({"--head", "9", "--method", "attention", picture}), "no attention head 9");
  expect_refused(explain({"--head", "0", "--method", "gradcam", picture}), "no single head");
  expect_refused(explain({"--layer", "0", "--method", "rise", picture}), "no single layer");
  expect_refused(explain({"--discard-ratio", "1", "--method", "rollout", picture}), "--discard-ratio");
  expect_refused(explain({}), "--data");
  expect_refused(explain({"--data", "scenes:1:2", picture}), "not both");
  expect_refused(explain({"--data", "scenes:1:2", "--save", path("out")}), "--data makes a table");
  expect_refused(explain({"--head-fusion", "median", picture}), "known: mean, min, max");
  expect_refused(run_vitkit({"explain", "--model", path("nowhere"), picture}), "nowhere");
}

TEST_F(ExplainVerb, AMethodThatDoesNotApplyIsNamedWithThoseThatDo) {
  write_tiny_detector(dir_ / "detector");
  expect_refused(run_vitkit({"explain", "--model", path("detector"), "--method", "rollout", jpeg("a.jpg")}),
                 "those that do: attention");
}

TEST_F(ExplainVerb, GoesOnBehindWhatCannotBeRead) {
  const std::string broken = dir_.write("broken.jpg", "no picture").string();
  const CommandResult result = explain({"--format", "json", "--method", "attention", "--faithfulness", "never", broken,
                                        jpeg("a.jpg"), path("missing.png")});
  EXPECT_EQ(result.status, 1);
  const auto all = records(result);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_TRUE(all[0].contains("error"));
  EXPECT_EQ(all[1]["method"], "attention");
  EXPECT_TRUE(all[2].contains("error"));
}

TEST_F(ExplainVerb, EveryRowOfATableHasEveryColumn) {
  const std::string film = write_film(dir_ / "film.mp4", 2);
  const CommandResult result = explain({"--format", "csv", "--method", "attention", "--faithfulness", "never",
                                        jpeg("a.jpg"), path("missing.png"), film});
  EXPECT_EQ(result.status, 1);
  const std::vector<std::string> lines = result.lines();
  ASSERT_EQ(lines.size(), 5u) << result.out;
  for (const std::string& line : lines) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 14) << line;
  EXPECT_THAT(lines[2], HasSubstr("no such file"));
}

TEST_F(ExplainVerb, ExplainsDetections) {
  write_tiny_detector(dir_ / "detector");
  const CommandResult result = run_vitkit({"explain", "--model", path("detector"), "--conf", "0", "--answers", "2",
                                           "--method", "attention,layercam", "--no-sanity", "--format", "json",
                                           "--save", path("out"), jpeg("a.jpg", 64, 64)});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto all = records(result);
  ASSERT_EQ(all.size(), 4u);
  for (const nlohmann::json& record : all) {
    EXPECT_EQ(record["box"].size(), 4u);
    EXPECT_TRUE(record["sanity"].is_null());
  }
  EXPECT_TRUE(fs::exists(dir_ / "out" / "a_attention_2.npy"));
  const CommandResult none = run_vitkit(
      {"explain", "--model", path("detector"), "--conf", "1", "--method", "attention", jpeg("b.jpg", 64, 64)});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("lower --conf"));
}

TEST_F(ExplainVerb, ExplainsWordsOfCaptions) {
  write_tiny_captioner(dir_ / "captioner", {.generation = {{"max_new_tokens", 8}, {"min_new_tokens", 8}}});
  const CommandResult result = run_vitkit({"explain", "--model", path("captioner"), "--answers", "2", "--no-sanity",
                                           "--format", "json", jpeg("a.jpg", 32, 32)});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto all = records(result);
  ASSERT_GE(all.size(), 1u);
  EXPECT_EQ(all[0]["method"], "relevance");
  EXPECT_TRUE(all[0]["index"].is_null());
  const CommandResult missing =
      run_vitkit({"explain", "--model", path("captioner"), "--target", "zeppelin", jpeg("b.jpg", 32, 32)});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("has no word 'zeppelin'"));
}

TEST_F(ExplainVerb, AFilmBecomesAFilm) {
  const std::string film = write_film(dir_ / "film.mp4", 6);
  const auto all = answers({"--method", "rollout", "--save", path("out"), film});
  ASSERT_EQ(all.size(), 6u);
  EXPECT_EQ(all[5]["frame"], 5);
  EXPECT_TRUE(all[5]["deletion_auc"].is_null()) << "films are not judged unless it is asked for";
  EXPECT_EQ(read_all((dir_ / "out" / "film_rollout.mp4").string()).size(), 7u) << "six frames and the end";
}

// The bundled model of clips rests on the frames in which something happens, and the shares of frames say so.
TEST_F(ExplainVerb, FramesOfTheEventMatter) {
  const std::string films = path("films");
  const CommandResult drawn = run_vitkit({"scenes", films, "--actions", "--clip", "8", "--size", "32", "--count", "8",
                                          "--seed", "11", "--format", "json", "--quiet"});
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  std::map<std::string, nlohmann::json> truth;
  for (const nlohmann::json& clip : records(drawn)) truth[clip["source"]] = clip;
  const CommandResult result = run_vitkit({"explain", "--model", "actions", "--method", "frame_occlusion",
                                           "--faithfulness", "never", "--format", "json", films});
  ASSERT_EQ(result.status, 0) << result.err;
  double inside = 0.0, right = 0.0, filled = 0.0;
  for (const nlohmann::json& map : records(result)) {
    const nlohmann::json& clip = truth.at(map["source"]);
    if (clip["label"] != map["target"]) continue;
    right += 1.0;
    for (int64_t frame = clip["event"][0]; frame < clip["event"][1].get<int64_t>(); ++frame) {
      inside += map["frame_shares"][static_cast<size_t>(frame)].get<double>();
      filled += 1.0 / 8.0;
    }
  }
  EXPECT_GE(right, 7.0) << "of 8";
  EXPECT_GT(inside / right, 0.8) << "an even map has " << filled / right;
}

TEST_F(ExplainVerb, ComparesMethodsOnData) {
  const CommandResult result = run_vitkit(
      {"explain", "--model", "scenes", "--data", "scenes:7:2", "--method", "rollout,gradcam", "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto all = records(result);
  ASSERT_EQ(all.size(), 4u) << "two methods, two baselines";
  EXPECT_EQ(all[0]["method"], "rollout");
  EXPECT_GE(all[0]["mass_in_object"].get<double>(), 0.0);
  EXPECT_LE(all[0]["mass_in_object_low"].get<double>(), all[0]["mass_in_object_high"].get<double>());
  EXPECT_TRUE(all[3]["baseline"].get<bool>());
}

TEST_F(ExplainVerb, HelpShowsMethodsAndExamples) {
  const CommandResult help = run_vitkit({"explain", "--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, AllOf(HasSubstr("integrated_gradients"), HasSubstr("--discard-ratio"), HasSubstr("EXAMPLES")));
}

}  // namespace
}  // namespace vit::test
