// Films and streams in `vitkit classify`.
#include <csignal>
#include <sstream>
#include <thread>

#include "tests/apps/running_vitkit.h"
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
  RunningVitkit run({"classify", "--model", model(), "--format", "json", "--output", path("out.jsonl"), server.url()},
                    dir_ / "err");
  while (run.is_running() && server.connections() < 4) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  run.send(SIGINT);
  EXPECT_EQ(run.wait(), 0) << slurp(dir_ / "err");
  int frames = 0, gaps = 0;
  std::istringstream lines(slurp(dir_ / "out.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto answer = nlohmann::json::parse(line);
    EXPECT_EQ(answer["source"], server.url());
    frames += answer.contains("frame") ? 1 : 0;
    if (!answer.contains("gap")) continue;
    ++gaps;
    EXPECT_LT(answer["gap"]["from"].get<double>(), answer["gap"]["to"].get<double>());
    EXPECT_THAT(answer["gap"]["reason"].get<std::string>(), HasSubstr("closed"));
  }
  EXPECT_GE(frames, 1);
  EXPECT_EQ(gaps, 2) << "one between the connections, one until the end";
}

}  // namespace
}  // namespace vit::test
