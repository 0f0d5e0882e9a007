#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "datasets/scenes.h"
#include "detection/detector.h"
#include "tests/apps/running_vitkit.h"
#include "tests/apps/verb_test.h"
#include "tests/support/env.h"
#include "tests/support/film.h"
#include "tests/support/stream_server.h"
#include "tests/support/tiny_detector.h"
#include "vit/core/timer.h"
#include "vit/image/decode.h"
#include "vit/media/video.h"
#include "vit/models/labels.h"

namespace vit::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

class DetectVerb : public VerbTest {
 protected:
  DetectVerb() { write_tiny_detector(dir_ / "detector"); }

  std::string detector() const { return (dir_ / "detector").string(); }
  CommandResult detect(Strings arguments, const CommandOptions& options = {}) const {
    arguments.insert(arguments.begin(), {"detect", "--model", detector()});
    return run_vitkit(arguments, options);
  }

  /// A film of a generated clip.
  std::string film(const std::string& name, int64_t frames, double frame_rate = 10.0, int64_t side = 64) const {
    const datasets::SceneClip clip(3, 1, frames, side);
    VideoWriter writer(path(name), {side, side}, {.frame_rate = frame_rate});
    for (int64_t i = 0; i < frames; ++i) writer.write(clip.frame(i).image);
    writer.finish();
    return path(name);
  }

  /// Frames that a film holds, and their size.
  static std::pair<int64_t, Extent> read_film(const std::string& file) {
    VideoReader reader(file);
    int64_t frames = 0;
    for (;; ++frames) {
      const VideoEvent event = reader.next();
      EXPECT_NE(event.kind, VideoEvent::Kind::error) << event.reason;
      if (event.kind != VideoEvent::Kind::frame) break;
    }
    return {frames, reader.info().size};
  }

  std::vector<nlohmann::json> lines_of(const std::string& file) const {
    CommandResult as_stdout;
    as_stdout.out = slurp(dir_ / file);
    return records(as_stdout);
  }

  Strings files_in(const std::string& folder) const {
    Strings names;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / folder))
      if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), dir_ / folder).string());
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_F(DetectVerb, AnswersAsTheLibraryDoes) {
  const std::string picture = jpeg("a.jpg", 60, 90);
  const CommandResult result = detect({"--format", "json", "--conf", "0", picture});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  const auto answers = records(result);
  ASSERT_EQ(answers.size(), 1u);
  const nlohmann::json& answer = answers[0];
  EXPECT_EQ(answer["source"], picture);
  EXPECT_EQ(answer["frame"], 0);
  EXPECT_EQ(answer["time_s"], 0.0);
  EXPECT_EQ(answer["width"], 90);
  EXPECT_EQ(answer["height"], 60);
  EXPECT_EQ(answer.size(), 6u) << answer;
  const auto library = detection::Detector::load(detector(), {.post = {.threshold = 0.0}});
  const std::vector<detection::Detection> expected = library(load_image(picture));
  ASSERT_EQ(answer["detections"].size(), expected.size());
  ASSERT_FALSE(expected.empty());
  for (size_t i = 0; i < expected.size(); ++i) {
    const nlohmann::json& found = answer["detections"][i];
    EXPECT_EQ(found["label"], library.labels().name(expected[i].index));
    EXPECT_EQ(found["index"], expected[i].index);
    EXPECT_NEAR(found["score"].get<double>(), expected[i].score, 1e-6);
    for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(found["box"][k].get<double>(), expected[i].box[k], 1e-3);
    EXPECT_TRUE(found["track"].is_null());
    EXPECT_EQ(found.size(), 5u);
  }
}

TEST_F(DetectVerb, AnswersDependNeitherOnThreadsNorOnTheBatch) {
  Strings sources = {film("film.avi", 7)};
  for (int i = 0; i < 6; ++i) sources.push_back(jpeg("p" + std::to_string(i) + ".jpg", 40 + i, 60));
  std::string reference;
  for (const auto& [threads, batch] :
       {std::pair("1", "1"), std::pair("2", "1"), std::pair("2", "4"), std::pair("3", "2")}) {
    Strings arguments = {"--format", "json", "--conf", "0", "--track", "--threads", threads, "--batch-size", batch};
    arguments.insert(arguments.end(), sources.begin(), sources.end());
    const CommandResult result = detect(arguments);
    ASSERT_EQ(result.status, 0) << result.err;
    if (reference.empty()) reference = result.out;
    EXPECT_EQ(result.out, reference) << threads << " threads, batches of " << batch;
  }
  EXPECT_EQ(std::count(reference.begin(), reference.end(), '\n'), 13);
}

TEST_F(DetectVerb, ThresholdClassesAndMostChooseDetections) {
  const std::string picture = jpeg("a.jpg");
  const auto found = [&](Strings arguments) {
    arguments.insert(arguments.end(), {"--format", "json", picture});
    return records(detect(arguments)).at(0)["detections"];
  };
  const nlohmann::json all = found({"--conf", "0"});
  ASSERT_GT(all.size(), 2u);
  const double middle = all[1]["score"].get<double>();
  EXPECT_EQ(found({"--conf", std::to_string(middle - 1e-5)}).size(), 2u);
  EXPECT_EQ(found({"--conf", "0", "--max-det", "1"}), nlohmann::json::array({all[0]}));
  const std::string label = all[0]["label"], number = std::to_string(all[0]["index"].get<int>());
  EXPECT_EQ(found({"--conf", "0", "--classes", label}), found({"--conf", "0", "--classes", number}));
  for (const nlohmann::json& one : found({"--conf", "0", "--classes", label})) EXPECT_EQ(one["label"], label);
  expect_refused(detect({"--classes", "sea loin", picture}), "did you mean 'sea lion'?");
  expect_refused(detect({"--classes", "7", picture}), "it knows cat, dog, sea lion");
  EXPECT_EQ(detect({"--conf", "1.5", picture}).status, 2);
}

TEST_F(DetectVerb, WritesTextAndCsv) {
  const std::string picture = jpeg("a.jpg"), none = path("none.jpg"), clip = film("film.avi", 2);
  const CommandResult text = detect({"--conf", "0", "--max-det", "2", picture, none, clip});
  EXPECT_EQ(text.status, 1);
  ASSERT_EQ(text.lines().size(), 5u) << text.out;
  EXPECT_EQ(text.lines()[0], picture + ": 48 x 40");
  EXPECT_THAT(text.lines()[1], HasSubstr(" %  "));
  EXPECT_THAT(text.lines()[3], StartsWith(clip + ": frame 0, 0.000 s: "));
  EXPECT_THAT(text.err, HasSubstr(none + ": no such file or folder"));
  const CommandResult csv = detect({"--conf", "0", "--max-det", "2", "--format", "csv", picture, none});
  ASSERT_EQ(csv.lines().size(), 4u);
  EXPECT_EQ(csv.lines()[0],
            "source,frame,time_s,width,height,label,index,score,x1,y1,x2,y2,track,lag_ms,dropped,error");
  EXPECT_THAT(csv.lines()[1], StartsWith(picture + ",0,0.0,48,40,"));
  EXPECT_THAT(csv.lines()[3], testing::EndsWith("no such file or folder"));
  EXPECT_THAT(detect({"--conf", "1", picture}).out, HasSubstr("nothing"));
}

TEST_F(DetectVerb, GivesEveryFrameOfAFilmItsTime) {
  const std::string clip = film("film.mp4", 9, 10.0);
  const auto answers = records(detect({"--format", "json", clip}));
  ASSERT_EQ(answers.size(), 9u);
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(answers[i]["frame"], i);
    EXPECT_NEAR(answers[i]["time_s"].get<double>(), 0.1 * static_cast<double>(i), 1e-3);
    EXPECT_FALSE(answers[i].contains("lag_ms")) << "a file is not live";
  }
  const auto strided = records(detect({"--format", "json", "--vid-stride", "4", clip}));
  ASSERT_EQ(strided.size(), 3u);
  EXPECT_EQ(strided[2]["frame"], 8);
  EXPECT_NEAR(strided[2]["time_s"].get<double>(), 0.8, 1e-3);
}

TEST_F(DetectVerb, FollowsObjectsFromFrameToFrame) {
  dir_.write("eager.yaml", "type: bytetrack\ntrack_high_thresh: 0.0\ntrack_low_thresh: 0.0\nnew_track_thresh: 0.0\n");
  const std::string clip = film("film.avi", 8);
  const auto answers = records(detect({"--format", "json", "--conf", "0", "--tracker", path("eager.yaml"), clip}));
  ASSERT_EQ(answers.size(), 8u);
  int64_t tracked = 0;
  for (const nlohmann::json& answer : answers)
    for (const nlohmann::json& found : answer["detections"]) tracked += found["track"].is_number() ? 1 : 0;
  EXPECT_GT(tracked, 0);
  EXPECT_EQ(detect({"--track", "--tracker", "sort", clip}).status, 0);
  expect_refused(detect({"--tracker", "bytetrak", clip}), "did you mean 'bytetrack'?");
  dir_.write("bad.yaml", "type: sort\nmax_aeg: 3\n");
  expect_refused(detect({"--tracker", path("bad.yaml"), clip}), "max_aeg");
}

TEST_F(DetectVerb, SavesUnderTheSourcesNames) {
  const std::string a = jpeg("a.jpg"), other = jpeg("more/a.JPG"), clip = film("clip.avi", 5);
  dir_.write("b.ppm", encode_ppm(pattern(30, 44)));
  const CommandResult result = detect({"--conf", "0", "--max-det", "1", "--save", path("out"), "--save-txt",
                                       "--save-crop", "--save-json", path("all.jsonl"), a, other, path("b.ppm"), clip});
  ASSERT_EQ(result.status, 0) << result.err;
  const Strings files = files_in("out");
  for (const char* name : {"a.jpg", "a_2.JPG", "b.png", "clip.avi", "labels/a.txt", "labels/a_2.txt", "labels/b.txt",
                           "labels/clip_000000.txt", "labels/clip_000004.txt"})
    EXPECT_THAT(files, testing::Contains(name));
  EXPECT_EQ(load_image(path("out/b.png")).width(), 44);
  EXPECT_EQ(read_film(path("out/clip.avi")), std::pair(int64_t{5}, Extent{64, 64}));
  EXPECT_THAT(slurp(path("out/labels/a.txt")),
              testing::MatchesRegex("[0-9] 0\\.[0-9]+ 0\\.[0-9]+ [01]\\.[0-9]+ [01]\\.[0-9]+\n"));
  const Strings crops = files_in("out/crops");
  EXPECT_EQ(crops.size(), 8u);
  EXPECT_THAT(crops[0], testing::MatchesRegex("(cat|dog|sea_lion)/.*\\.jpg"));
  std::istringstream lines(slurp(path("all.jsonl")));
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded()) << line;
  EXPECT_EQ(count, 8);
}

TEST_F(DetectVerb, DrawsWhereTheQueriesLooked) {
  const std::string a = jpeg("a.jpg"), clip = film("clip.avi", 2);
  const CommandResult result = detect({"--conf", "0", "--max-det", "2", "--attention", path("looks"), a, clip});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(files_in("looks"), ElementsAre("a_1.jpg", "a_2.jpg", "clip_000000_1.jpg", "clip_000000_2.jpg",
                                             "clip_000001_1.jpg", "clip_000001_2.jpg"));
  EXPECT_EQ(load_image(path("looks/a_1.jpg")).width(), 48);
  expect_refused(detect({"--conf", "0", "--attention", path("looks"), "--attention-layer", "7", a}), "layer");
  expect_refused(detect({"--attention-layer", "0", a}), "--attention DIR");
}

TEST_F(DetectVerb, FilmsKeepTheirDurationWithAStrideAndTheirFramesOnDemand) {
  const std::string clip = film("clip.mp4", 12, 12.0);
  ASSERT_EQ(detect({"--vid-stride", "3", "--save", path("out"), "--save-frames", clip}).status, 0);
  EXPECT_THAT(files_in("out"),
              ElementsAre("clip.mp4", "clip/000000.jpg", "clip/000003.jpg", "clip/000006.jpg", "clip/000009.jpg"));
  VideoReader reader(path("out/clip.mp4"));
  while (reader.next().kind == VideoEvent::Kind::frame) continue;
  EXPECT_NEAR(reader.info().frame_rate, 4.0, 1e-3);
}

TEST_F(DetectVerb, AnswersTheOthersWhenSourcesAreBroken) {
  const std::string whole = slurp(film("whole.avi", 40));
  dir_.write("cut.avi", whole.substr(0, whole.size() / 2));
  dir_.write("empty.mp4", "");
  dir_.write("text.mp4", "no film at all");
  dir_.write("bad.jpg", "no picture");
  const std::string good = jpeg("good.jpg");
  const CommandResult result = detect({"--format", "json", "--save", path("out"), path("cut.avi"), path("empty.mp4"),
                                       path("text.mp4"), path("bad.jpg"), path("none.mp4"), good});
  EXPECT_EQ(result.status, 1);
  const auto answers = records(result);
  std::map<std::string, int> frames, errors;
  for (const nlohmann::json& answer : answers) {
    const std::string name = fs::path(answer["source"].get<std::string>()).filename();
    (answer.contains("error") ? errors : frames)[name] += 1;
    EXPECT_NE(answer.value("error", "no error"), "");
  }
  for (const char* name : {"empty.mp4", "text.mp4", "bad.jpg", "none.mp4"}) {
    EXPECT_EQ(errors[name], 1) << name;
    EXPECT_EQ(frames[name], 0) << name;
  }
  EXPECT_EQ(frames["good.jpg"], 1);
  // What there was of the truncated film is answered and saved.
  EXPECT_GT(frames["cut.avi"], 5);
  EXPECT_LT(frames["cut.avi"], 40);
  EXPECT_EQ(read_film(path("out/cut.avi")).first, frames["cut.avi"]);
}

TEST_F(DetectVerb, CtrlCKeepsWhatIsDone) {
  const std::string clip = film("clip.mp4", 400);
  RunningVitkit run({"detect", "--model", detector(), "--format", "json", "--output", path("out.jsonl"), "--save-json",
                     path("all.jsonl"), "--save", path("out"), "--save-frames", clip},
                    dir_ / "err");
  while (run.is_running() && !fs::exists(dir_ / "out/clip/000003.jpg"))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  run.send(SIGINT);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_THAT(slurp(dir_ / "err"), HasSubstr("stopped"));
  const auto answers = lines_of("out.jsonl");
  EXPECT_GE(answers.size(), 4u);
  EXPECT_LT(answers.size(), 400u) << "it was too quick for this test";
  EXPECT_EQ(lines_of("all.jsonl"), answers);
  EXPECT_EQ(read_film(path("out/clip.mp4")).first, static_cast<int64_t>(answers.size()));
}

TEST_F(DetectVerb, AStreamThatBreaksOffIsTakenUpAgain) {
  StreamServer server([](StreamConnection& connection) {
    connection.begin_mjpeg();
    if (connection.number() == 0) {
      connection.frames(0, 10, 0.02);
      connection.reset();
    } else {
      connection.frames(10, 100'000, 0.02);
    }
  });
  RunningVitkit run({"detect", "--model", detector(), "--conf", "0", "--track", "--format", "json", "--output",
                     path("out.jsonl"), "--save", path("out"), "--save-frames", server.url("live.mjpg")},
                    dir_ / "err");
  const auto wait_for = [&](const auto& condition) {
    while (run.is_running() && !condition()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  const auto saved = [&] { return fs::exists(dir_ / "out") ? files_in("out").size() : 0; };
  wait_for([&] { return server.connections() >= 2; });
  wait_for([&, before = saved()] { return saved() >= before + 6; });  // four frames, their folder, the film
  run.send(SIGINT);
  EXPECT_EQ(run.wait(), 0) << slurp(dir_ / "err");
  int64_t frames = 0, gaps = 0;
  double last = -1.0;
  for (const nlohmann::json& line : lines_of("out.jsonl")) {
    EXPECT_EQ(line["source"], server.url("live.mjpg"));
    if (line.contains("gap")) {
      ++gaps;
      EXPECT_LT(line["gap"]["from"].get<double>(), line["gap"]["to"].get<double>());
      EXPECT_THAT(line["gap"]["reason"].get<std::string>(), Not(IsEmpty()));
      continue;
    }
    ++frames;
    EXPECT_GT(line["time_s"].get<double>(), last);
    last = line["time_s"];
    EXPECT_GE(line["lag_ms"].get<double>(), 0.0);
    EXPECT_GE(line["dropped"].get<int64_t>(), 0);
  }
  EXPECT_GE(gaps, 1);
  EXPECT_GE(frames, 3);
  const std::string name = "127.0.0.1_" + std::to_string(server.port()) + "_live.mjpg";
  EXPECT_GT(read_film(path("out/" + name + ".mp4")).first, 0);
  EXPECT_EQ(static_cast<int64_t>(files_in("out/" + name).size()), frames);
}

TEST_F(DetectVerb, ASilentStreamIsAnErrorAndTheOthersGoOn) {
  StreamServer silent([](StreamConnection& connection) { connection.stall(); });
  dir_.write("all.streams", "# one of them says nothing\n" + silent.url() + "\n" + film("clip.avi", 4) + "\n");
  const Timer timer;
  const CommandResult result = detect({"--format", "json", "--timeout", "0.5", path("all.streams"), jpeg("a.jpg")});
  EXPECT_LT(timer.seconds(), 20.0);
  EXPECT_EQ(result.status, 1);
  int64_t errors = 0, answers = 0;
  for (const nlohmann::json& line : records(result)) (line.contains("error") ? errors : answers) += 1;
  EXPECT_EQ(errors, 1) << result.out;
  EXPECT_EQ(answers, 5);
}

TEST_F(DetectVerb, AClosedPipeEndsItQuietly) {
  const CommandResult result =
      detect({"--format", "json", "--save", path("out"), film("clip.avi", 30)}, {.closed_stdout = true});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
}

TEST_F(DetectVerb, AFullDiskIsAFailedOutput) {
  const CommandResult result = detect({"--format", "json", jpeg("a.jpg")}, {.stdout_file = "/dev/full"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("cannot write to stdout"));
}

TEST_F(DetectVerb, RefusesWhatMakesNoSense) {
  const std::string picture = jpeg("a.jpg");
  expect_refused(detect({"--save-txt", picture}), "--save-txt needs --save DIR");
  expect_refused(detect({"--precision", "int8", picture}), "int8 is not built");
  dir_.write("file", "x");
  expect_refused(detect({"--save", path("file/out"), picture}), path("file/out"));
  expect_refused(run_vitkit({"detect", "--model", model(), picture}), "classify");
  const CommandResult nothing = detect({"-"});
  EXPECT_EQ(nothing.status, 1);
  EXPECT_THAT(nothing.err, HasSubstr("no picture and no frame"));
}

TEST_F(DetectVerb, NeverSavesOverItsSources) {
  const std::string picture = jpeg("photos/a.jpg");
  const std::string before = slurp(picture);
  expect_refused(detect({"--save", path("photos"), picture}), "would be overwritten");
  expect_refused(detect({"--save", path("photos/../photos"), path("photos")}), "would be overwritten");
  std::ofstream(dir_ / "list.txt") << picture << "\n";
  const CommandResult listed = detect({"--format", "json", "--save", path("photos"), "@" + path("list.txt")});
  EXPECT_EQ(listed.status, 1);
  EXPECT_THAT(listed.err, HasSubstr("would be overwritten"));
  EXPECT_EQ(records(listed).size(), 1u) << "it is answered all the same";
  EXPECT_EQ(slurp(picture), before);
}

TEST_F(DetectVerb, RefusesAFileOfResultsThatCannotBeWritten) {
  expect_refused(detect({"--save-json", path("nowhere/boxes.jsonl"), jpeg("a.jpg")}), "--save-json");
  expect_refused(detect({"--attention", path("looks"), "--attention-layer", "99", jpeg("b.jpg")}), "99");
}

TEST_F(DetectVerb, ShowsWhatEachStageCosts) {
  const CommandResult result = detect({"-v", "--track", "--save", path("out"), film("clip.avi", 10)});
  EXPECT_EQ(result.status, 0);
  for (const char* words : {"3 classes", "CPU ms/frame", "read ", "pre-process ", "infer ", "post-process ", "track ",
                            "draw ", "write ", "sum ", "wall ", "threads busy"})
    EXPECT_THAT(result.err, HasSubstr(words));
}

/// Kilobytes that are in memory, and open files, of a process.
std::pair<int64_t, int64_t> footprint(pid_t process) {
  const fs::path folder = "/proc/" + std::to_string(process);
  std::ifstream status(folder / "status");
  int64_t kilobytes = 0, files = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) kilobytes = std::stoll(line.substr(6));
  std::error_code gone;
  for (fs::directory_iterator file(folder / "fd", gone), end; !gone && file != end; file.increment(gone)) ++files;
  return {kilobytes, files};
}

TEST_F(DetectVerb, TenThousandFramesTakeWhatAThousandTake) {
  if (!std::getenv("VITKIT_LONG_TESTS")) GTEST_SKIP() << "long: ./run test --long";
  const std::string clip = write_film(path("long.mp4"), 10'000);
  RunningVitkit run({"detect", "--model", detector(), "--track", "--conf", "0", "--output", path("out.jsonl"),
                     "--format", "json", "--save", path("out"), "--save-txt", clip},
                    dir_ / "err");
  const auto wait_for_frame = [&](const std::string& number) {
    while (run.is_running() && !fs::exists(dir_ / ("out/labels/long_" + number + ".txt")))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return footprint(run.pid());
  };
  const auto [early_memory, early_files] = wait_for_frame("001000");
  const auto [late_memory, late_files] = wait_for_frame("009500");
  EXPECT_EQ(run.wait(), 0) << slurp(dir_ / "err");
  EXPECT_EQ(lines_of("out.jsonl").size(), 10'000u);
  EXPECT_GT(early_memory, 0);
  EXPECT_LE(late_memory - early_memory, 8 << 10) << "kilobytes at 9,500 and at 1,000 frames";
  EXPECT_LE(late_files, early_files);
}

TEST_F(DetectVerb, HasNoWindowWithoutADisplay) {
  const ScopedEnv display("DISPLAY", ""), wayland("WAYLAND_DISPLAY", ""), platform("QT_QPA_PLATFORM", "");
  const CommandResult result = detect({"--show", jpeg("a.jpg")});
  expect_refused(result, "display");
}

}  // namespace
}  // namespace vit::test
