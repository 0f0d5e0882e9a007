// Films and streams in `vitkit classify`.
#include "tests/apps/verb_test.h"
#include "tests/support/film.h"
#include "tests/support/stream_server.h"

namespace vit::test {
namespace {

using testing::HasSubstr;

class ClassifyVideo : public VerbTest {
 protected:
  CommandResult classify(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"classify", "--model", model(), "--topk", "1"});
    return run_vitkit(arguments);
  }
};

TEST_F(ClassifyVideo, AnswersEveryFrameWithItsTime) {
  const std::string film = write_film(path("film.avi"), 20, 10.0);
  const std::string picture = jpeg("a.jpg");
  const CommandResult result = classify({"--format", "json", "--vid-stride", "3", picture, film, picture});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 9u);
  EXPECT_EQ(answers[0]["source"], picture);
  EXPECT_FALSE(answers[0].contains("frame"));
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(answers[1 + i]["source"], film);
    EXPECT_EQ(answers[1 + i]["frame"], 3 * i);
    EXPECT_NEAR(answers[1 + i]["time_s"].get<double>(), 0.3 * i, 1e-3);
    EXPECT_EQ(answers[1 + i]["predictions"].size(), 1u);
  }
  EXPECT_EQ(answers[8]["source"], picture);
}

TEST_F(ClassifyVideo, ABrokenFilmDoesNotStopTheOthers) {
  dir_.write("text.mp4", "no film");
  const std::string film = write_film(path("film.avi"), 2);
  const CommandResult result = classify({"--format", "csv", path("text.mp4"), film});
  EXPECT_EQ(result.status, 1);
  ASSERT_EQ(result.lines().size(), 4u) << result.out;
  EXPECT_THAT(result.lines()[1], HasSubstr("no video in a known format"));
  EXPECT_THAT(result.lines()[3], testing::EndsWith(",1,0.04"));
}

TEST_F(ClassifyVideo, AStreamThatNeverOpensIsAnErrorAtTheDeadline) {
  const StreamServer server([](StreamConnection& client) { client.stall(); });
  const CommandResult result = classify({"--format", "json", "--timeout", "0.5", server.url()});
  EXPECT_EQ(result.status, 1);
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_THAT(answers[0]["error"].get<std::string>(), HasSubstr("no answer within 0.5 s"));
}

TEST_F(ClassifyVideo, AGapIsALineOfItsOwn) {
  const StreamServer server([](StreamConnection& client) {
    if (client.number() > 1) return void(client.send("HTTP/1.0 404 Not Found\r\n\r\n"));
    client.begin_mjpeg();
    client.frames(0, 3, 0.05);
  });
  const CommandResult result = run_command({"/usr/bin/timeout", "--signal=INT", "4", VITKIT_BINARY, "classify",
                                            "--model", model(), "--format", "json", server.url()});
  const auto answers = records(result);
  size_t frames = 0, gaps = 0;
  for (const auto& answer : answers) {
    frames += answer.contains("frame");
    gaps += answer.contains("gap");
    if (answer.contains("gap")) {
      EXPECT_LT(answer["gap"]["from"].get<double>(), answer["gap"]["to"].get<double>());
      EXPECT_THAT(answer["gap"]["reason"].get<std::string>(), HasSubstr("closed"));
    }
  }
  EXPECT_GE(frames, 2u) << result.out;
  EXPECT_EQ(gaps, 2u) << "one between the connections, one until the end: " << result.out << result.err;
}

}  // namespace
}  // namespace vit::test
