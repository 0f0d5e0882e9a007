// `vitkit caption` through the binary: what it says and in which form, sheets of words, subtitles, and what is refused.
#include <algorithm>
#include <filesystem>

#include "captioning/captioner.h"
#include "datasets/scenes.h"
#include "tests/apps/verb_test.h"
#include "tests/support/film.h"
#include "tests/support/tiny_captioner.h"
#include "vit/image/decode.h"

namespace vit::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

class CaptionVerb : public VerbTest {
 protected:
  CaptionVerb() { write_tiny_captioner(dir_ / "captioner"); }

  std::string captioner() const { return path("captioner"); }
  CommandResult caption(Strings arguments) const {
    arguments.insert(arguments.begin(), {"caption", "--model", captioner()});
    return run_vitkit(arguments);
  }
  nlohmann::json answer(Strings arguments) const {
    arguments.insert(arguments.begin(), {"--format", "json"});
    const CommandResult result = caption(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    const auto all = records(result);
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? nlohmann::json() : all[0];
  }
};

TEST_F(CaptionVerb, AnswersAsTheLibraryDoes) {
  const std::string picture = jpeg("a.jpg", 60, 90);
  const nlohmann::json record = answer({picture});
  const auto library = captioning::Captioner::load(captioner());
  const captioning::Caption expected = library(load_image(picture));
  EXPECT_EQ(record.size(), 4u) << record;
  EXPECT_EQ(record["source"], picture);
  EXPECT_EQ(record["caption"], expected.text);
  EXPECT_EQ(record["ids"], expected.ids);
  EXPECT_NEAR(record["score"].get<double>(), expected.score, 1e-6);
  EXPECT_EQ(expected.ids.front(), 1) << "the start";
  EXPECT_LE(expected.ids.size(), 12u) << "generation_config.json";
  const CommandResult text = caption({picture});
  EXPECT_EQ(text.out, picture + ": " + expected.text + "\n");
}

TEST_F(CaptionVerb, AnswersDependNeitherOnThreadsNorOnTheBatch) {
  Strings sources;
  for (int i = 0; i < 5; ++i) sources.push_back(jpeg("p" + std::to_string(i) + ".jpg", 40 + i, 60));
  for (const Strings& how : {Strings{"--num-beams", "3"}, Strings{"--temperature", "1.5", "--seed", "3"}}) {
    std::string reference;
    for (const auto& [threads, batch] : {std::pair("1", "1"), std::pair("2", "2"), std::pair("3", "8")}) {
      Strings arguments = {"--format", "json", "--threads", threads, "--batch-size", batch};
      arguments.insert(arguments.end(), how.begin(), how.end());
      arguments.insert(arguments.end(), sources.begin(), sources.end());
      const CommandResult result = caption(arguments);
      ASSERT_EQ(result.status, 0) << result.err;
      if (reference.empty()) reference = result.out;
      EXPECT_EQ(result.out, reference) << threads << " threads, batches of " << batch;
    }
    EXPECT_EQ(std::count(reference.begin(), reference.end(), '\n'), 5);
  }
}

TEST_F(CaptionVerb, OptionsGoBeforeTheCheckpoints) {
  const std::string picture = jpeg("a.jpg");
  const auto library = captioning::Captioner::load(captioner());
  const Image image = load_image(picture);
  const auto expected = [&](const captioning::GenerationConfig& config, const std::string& prompt = {}) {
    return library({image}, config, prompt).front();
  };
  captioning::GenerationConfig config = library.generation();
  EXPECT_EQ(config.max_length, 12);
  config.num_beams = 4;
  config.length_penalty = 2.0;
  config.early_stopping = captioning::EarlyStopping::on_count;
  config.num_return_sequences = 3;
  nlohmann::json record = answer({"--num-beams", "4", "--length-penalty", "2", "--early-stopping", "true",
                                  "--num-return-sequences", "3", picture});
  const auto beams = expected(config);
  EXPECT_EQ(record["ids"], beams[0].ids);
  ASSERT_EQ(record["alternatives"].size(), 2u);
  EXPECT_EQ(record["alternatives"][1]["ids"], beams[2].ids);
  EXPECT_NEAR(record["alternatives"][1]["score"].get<double>(), beams[2].score, 1e-6);

  config = library.generation();
  config.max_new_tokens = 4;
  config.no_repeat_ngram_size = 1;
  config.repetition_penalty = 1.3;
  config.min_length = 4;
  EXPECT_EQ(answer({"--max-new-tokens", "4", "--no-repeat-ngram-size", "1", "--repetition-penalty", "1.3",
                    "--min-length", "4", picture})["ids"],
            expected(config)[0].ids);
  config = library.generation();
  config.max_length = 6;
  EXPECT_EQ(answer({"--max-length", "6", picture})["ids"], expected(config)[0].ids);

  config = library.generation();
  config.do_sample = true;
  config.temperature = 2.0;
  config.top_k = 0;
  config.top_p = 0.95;
  config.seed = 9;
  const Strings drawing = {"--temperature", "2", "--top-k", "0", "--top-p", "0.95", "--seed", "9", picture};
  EXPECT_EQ(answer(drawing)["ids"], expected(config)[0].ids);
  EXPECT_NE(answer({"--temperature", "2", "--top-k", "0", "--seed", "10", picture})["ids"], answer(drawing)["ids"]);
}

TEST_F(CaptionVerb, PromptsStandInFront) {
  const std::string picture = jpeg("a.jpg");
  const auto library = captioning::Captioner::load(captioner());
  const std::vector<int64_t> prompt = library.prompt_ids("a small red");
  ASSERT_GT(prompt.size(), 2u);
  const nlohmann::json record = answer({"--prompt", "a small red", picture});
  const std::vector<int64_t> ids = record["ids"];
  ASSERT_GT(ids.size(), prompt.size());
  EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), ids.begin()));
  EXPECT_THAT(record["caption"].get<std::string>(), StartsWith("a small red"));
}

TEST_F(CaptionVerb, RefusesBeforeAnyWork) {
  const std::string picture = jpeg("a.jpg");
  for (const Strings& wrong :
       {Strings{"--num-beams", "0"}, Strings{"--max-length", "0"}, Strings{"--temperature", "0"},
        Strings{"--top-p", "1.5"}, Strings{"--top-k", "-1"}, Strings{"--repetition-penalty", "0"},
        Strings{"--early-stopping", "maybe"}, Strings{"--num-return-sequences", "0"}, Strings{"--batch-size", "0"}}) {
    Strings arguments = wrong;
    arguments.push_back(picture);
    const CommandResult result = caption(arguments);
    EXPECT_EQ(result.status, 2) << wrong[0];
    EXPECT_THAT(result.err, HasSubstr(wrong[0]));
    EXPECT_EQ(result.out, "");
  }
  expect_refused(caption({"--num-return-sequences", "2", picture}), "num_return_sequences 2 needs as many num_beams");
  expect_refused(caption({"--num-beams", "2", "--num-return-sequences", "3", picture}), "is more than num_beams 2");
  std::string words;
  for (int i = 0; i < 30; ++i) words += "ring ";
  expect_refused(caption({"--prompt", words, picture}), "leaves no position of the model's 20");
  expect_refused(caption({"--every", "soon", picture}), "--every: expected a time");
  expect_refused(caption({"--attention-layer", "1", picture}), "need --attention DIR");
  expect_refused(caption({"--attention", path("looks"), "--attention-layer", "2", picture}), "the model has 2 layers");
  expect_refused(caption({"--srt", path("no/such/folder.srt"), picture}), "--srt");
  expect_refused(run_vitkit({"caption", "--model", model(), picture}), "is no captioner; it is for `vitkit classify`");
  expect_refused(run_vitkit({"classify", "--model", captioner(), picture}), "it is for `vitkit caption`");
  fs::remove(dir_ / "captioner/tokenizer.json");
  expect_refused(caption({picture}), "tokenizer");
}

TEST_F(CaptionVerb, FailuresDoNotStopTheOthers) {
  dir_.write("broken.jpg", "no picture");
  const std::string good = jpeg("good.jpg");
  const CommandResult result = caption({"--format", "json", path("broken.jpg"), path("missing.jpg"), good});
  EXPECT_EQ(result.status, 1);
  const auto all = records(result);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_TRUE(all[0].contains("error"));
  EXPECT_TRUE(all[1].contains("error"));
  EXPECT_EQ(all[2]["source"], good);
  EXPECT_THAT(result.err, HasSubstr("2 failures, 1 caption is fine"));
  const CommandResult csv = caption({"--format", "csv", good, path("broken.jpg")});
  EXPECT_THAT(csv.out, StartsWith("source,frame,time_s,rank,caption,score,ids,error\n"));
  const CommandResult nothing = caption({dir_.path().string() + "/captioner"});
  EXPECT_EQ(nothing.status, 1);
  EXPECT_THAT(nothing.err, HasSubstr("no pictures and no videos in folder"));
}

TEST_F(CaptionVerb, DrawsASheetOfWordsWithItsNumbers) {
  const std::string picture = jpeg("a.jpg", 60, 90);
  for (const char* type : {"transformer_captioner", "show_attend_tell"}) {
    write_tiny_captioner(dir_ / type, {.type = type, .crop_pct = 0.8});
    const std::string folder = path(std::string("looks_") + type);
    const CommandResult result = run_vitkit(
        {"caption", "--model", path(type), "--format", "json", "--attention", folder, "--prompt", "a star .", picture});
    ASSERT_EQ(result.status, 0) << result.err;
    const nlohmann::json sheet = nlohmann::json::parse(slurp(fs::path(folder) / "a.json"));
    const nlohmann::json answer = records(result).at(0);
    EXPECT_EQ(sheet["caption"], answer["caption"]);
    EXPECT_EQ(sheet["width"], 90);
    EXPECT_EQ(sheet["sheet"], "a.png");
    const Image image = load_image(folder + "/a.png");
    const nlohmann::json& words = sheet["words"];
    ASSERT_GE(words.size(), 3u);
    EXPECT_EQ(words[0]["word"], "a");
    EXPECT_EQ(words[1]["word"], "star");
    EXPECT_EQ(words[2]["word"], ".");
    std::vector<int64_t> ids;
    for (const nlohmann::json& word : words) {
      for (const int64_t id : word["ids"]) ids.push_back(id);
      EXPECT_EQ(word["grid"], nlohmann::json({4, 4}));
      double sum = 0.0;
      for (const double value : word["values"]) sum += value;
      EXPECT_NEAR(sum, 1.0, 1e-4);
      const std::vector<int64_t> box = word["box"];
      EXPECT_TRUE(0 <= box[0] && box[0] < box[2] && box[2] <= image.width()) << word["box"];
      EXPECT_TRUE(0 <= box[1] && box[1] < box[3] && box[3] <= image.height()) << word["box"];
      // Four fifths of the shorter side, in the middle.
      const std::vector<double> area = word["area"];
      EXPECT_NEAR(area[1], 6.0, 1.0);
      EXPECT_NEAR(area[3], 54.0, 1.0);
      EXPECT_NEAR(area[0], 21.0, 1.0);
      EXPECT_NEAR(area[2], 69.0, 1.0);
    }
    std::vector<int64_t> said;
    for (const int64_t id : answer["ids"])
      if (id > 3) said.push_back(id);
    EXPECT_EQ(ids, said) << "every piece but the special ones is part of a word";
  }
}

TEST_F(CaptionVerb, WritesFilmsEveryFewSecondsAndAsSubtitles) {
  const std::string film = write_film(path("film.avi"), 60, 10.0);
  const CommandResult result =
      caption({"--format", "json", "--every", "2s", "--srt", path("film.srt"), "--max-length", "5", film});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto all = records(result);
  ASSERT_EQ(all.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(all[i]["frame"], 20 * static_cast<int64_t>(i));
    EXPECT_NEAR(all[i]["time_s"].get<double>(), 2.0 * static_cast<double>(i), 1e-6);
  }
  const std::string srt = slurp(dir_ / "film.srt");
  EXPECT_THAT(srt, StartsWith("1\n00:00:00,000 --> "));
  EXPECT_THAT(srt, HasSubstr(all[0]["caption"].get<std::string>()));
  EXPECT_THAT(srt, HasSubstr("--> 00:00:06,000\n"));

  const CommandResult every = caption({"--format", "json", "--every", "0", "--vid-stride", "30", film});
  EXPECT_EQ(records(every).size(), 2u);
  const std::string other = write_film(path("other.avi"), 10, 10.0);
  const CommandResult folder = caption({"--srt", path("subtitles"), film, other});
  ASSERT_EQ(folder.status, 0) << folder.err;
  EXPECT_TRUE(fs::exists(dir_ / "subtitles/film.srt"));
  EXPECT_TRUE(fs::exists(dir_ / "subtitles/other.srt"));
  const CommandResult one_file = caption({"--srt", path("both.srt"), film, other});
  EXPECT_EQ(one_file.status, 1);
  EXPECT_THAT(one_file.err, AllOf(HasSubstr("those of"), HasSubstr("name a folder")));
}

}  // namespace
}  // namespace vit::test
