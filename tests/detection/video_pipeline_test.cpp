#include "detection/video_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <filesystem>

#include "tests/support/fake_stream.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "vit/core/check.h"
#include "vit/core/memory.h"
#include "vit/core/parallel.h"

namespace detection {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::Image;
using vit::StageOrder;
using vit::VideoEvent;
using vit::test::film;

/// A picture of one grey.
Image plain(int64_t height, int64_t width, uint8_t value) {
  Image image(height, width);
  std::memset(image.row(0), value, static_cast<size_t>(image.pixels.nbytes()));
  return image;
}

/// A model that says about each picture how bright it is: class 0 with that score, class 1 with a tenth of it.
DetectSteps brightness() {
  DetectSteps steps;
  steps.input_size = [](vit::Extent size) {
    vit::check(size.height < 1000, "photo.jpg: too high for the model");
    return size;
  };
  steps.prepare = [](const std::vector<Image>& images) {
    vit::PixelBatch batch;
    batch.pixel_values = vit::Tensor::empty({static_cast<int64_t>(images.size()), 1});
    for (size_t i = 0; i < images.size(); ++i) {
      EXPECT_EQ(images[i].height(), images[0].height()) << "pictures of unequal size in one batch";
      batch.pixel_values.f32()[i] = static_cast<float>(images[i].row(0)[0]);
    }
    return batch;
  };
  steps.infer = [](const vit::PixelBatch& batch) {
    const vit::Tensor scores = vit::Tensor::empty({batch.pixel_values.size(0), 1});
    vit::parallel_for(scores.numel(), [&](int64_t i) { scores.f32()[i] = batch.pixel_values.f32()[i] / 255.0f; });
    vit::check(scores.f32()[0] < 1.0f, "the model's output is not finite");
    return DetectionLevel{scores, scores};
  };
  steps.finish = [](const DetectionLevel& level, int64_t b, vit::Extent size, double threshold) {
    const double score = level.logits.value().f32()[b];
    std::vector<Detection> found;
    const auto height = static_cast<double>(size.height), width = static_cast<double>(size.width);
    for (const double share : {1.0, 0.1})
      if (score * share > threshold)
        found.push_back({.index = share == 1.0 ? 0 : 1, .score = score * share, .box = {0, 0, width, height}});
    return found;
  };
  return steps;
}

/// Follows whatever there is; a score below 0.3 is not reported as an object, nor kept where there was none before.
class CountingTracker : public Tracker {
 public:
  std::vector<TrackedDetection> update(const std::vector<Detection>& detections, double) override {
    std::vector<TrackedDetection> all;
    for (const Detection& found : detections) {
      largest_ = std::max(largest_, found.box[2]);
      EXPECT_EQ(found.box[2], largest_) << "boxes must keep the first frame's scale";
      all.push_back({found, found.score > 0.2 ? 1 : -1});
    }
    ++frames_;
    return all;
  }
  double least_score() const override { return 0.05; }

 private:
  double largest_ = 0.0;
  int64_t frames_ = 0;
};

class DetectFrames : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { vit::set_num_threads(GetParam()); }
  void TearDown() override { vit::set_num_threads(0); }

  std::string picture(const std::string& name, uint8_t value, int64_t height = 8, int64_t width = 8) {
    return dir_.write(name, vit::test::encode_ppm(plain(height, width, value))).string();
  }

  /// Everything that comes out, in order.
  std::vector<FrameResult> run(const std::vector<std::string>& sources, const VideoPipelineOptions& options = {}) {
    vit::FeedOptions feeding;
    feeding.open = [this](const std::string& source, const vit::VideoOptions&) {
      return std::make_unique<vit::test::FakeStream>(films_.at(source), vit::VideoInfo{{8, 8}, 25.0, 0});
    };
    vit::FrameFeed feed(sources, feeding);
    std::vector<FrameResult> results;
    report_ = detect_frames(feed, brightness(), options,
                            {{"write", StageOrder::items, [&](FrameResult& frame) { results.push_back(frame); }}});
    return results;
  }

  vit::test::TempDir dir_;
  std::map<std::string, vit::test::NextEvent> films_;
  vit::PipelineReport report_;
};

TEST_P(DetectFrames, ResultsComeInOrderWhateverTheBatchSize) {
  std::vector<std::string> pictures;
  for (int i = 0; i < 23; ++i)
    pictures.push_back(picture("p" + std::to_string(i) + ".ppm", static_cast<uint8_t>(140 + i), 8 + i % 3, 9));
  for (const int64_t batch_size : {1, 4, 50}) {
    const std::vector<FrameResult> results = run(pictures, {.batch_size = batch_size});
    ASSERT_EQ(results.size(), pictures.size());
    for (size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(results[i].item.source, pictures[i]);
      EXPECT_EQ(results[i].size, (vit::Extent{8 + static_cast<int64_t>(i) % 3, 9}));
      ASSERT_EQ(results[i].detections.size(), 1u);
      EXPECT_NEAR(results[i].detections[0].detection.score, (140.0 + static_cast<double>(i)) / 255.0, 1e-6);
      EXPECT_EQ(results[i].detections[0].track, -1);
      EXPECT_FALSE(results[i].item.event.image.defined()) << "nobody wants the pixels";
    }
  }
}

TEST_P(DetectFrames, WhatFailsForOnePictureIsInItsResult) {
  dir_.write("broken.jpg", "no picture");
  const std::vector<std::string> sources = {picture("a.ppm", 200),          (dir_ / "broken.jpg").string(),
                                            picture("high.ppm", 200, 1200), picture("white.ppm", 255),
                                            (dir_ / "none.ppm").string(),   picture("b.ppm", 201)};
  const std::vector<FrameResult> results = run(sources);
  ASSERT_EQ(results.size(), 6u);
  EXPECT_EQ(results[0].detections.size(), 1u);
  EXPECT_THAT(results[1].error, testing::Not(testing::IsEmpty()));
  EXPECT_THAT(results[1].error, testing::Not(HasSubstr("broken.jpg"))) << "the source is named already";
  EXPECT_THAT(results[2].error, HasSubstr("too high"));
  EXPECT_THAT(results[3].error, HasSubstr("not finite"));
  EXPECT_EQ(results[4].item.event.kind, VideoEvent::Kind::error);
  EXPECT_EQ(results[5].detections.size(), 1u);
  for (const size_t i : {1, 2, 3, 4}) EXPECT_TRUE(results[i].detections.empty());
}

TEST_P(DetectFrames, ThresholdClassesAndMostAreChosenInThatOrder) {
  const std::string bright = picture("bright.ppm", 250);
  EXPECT_EQ(run({bright}, {.conf = 0.05})[0].detections.size(), 2u);
  EXPECT_EQ(run({bright}, {.conf = 0.05, .max_det = 1})[0].detections[0].detection.index, 0);
  const std::vector<FrameResult> second = run({bright}, {.conf = 0.05, .classes = {1}, .max_det = 1});
  ASSERT_EQ(second[0].detections.size(), 1u) << "the best of the classes asked for";
  EXPECT_EQ(second[0].detections[0].detection.index, 1);
  EXPECT_TRUE(run({bright}, {.conf = 0.05, .classes = {2}})[0].detections.empty());
  EXPECT_TRUE(run({bright}, {.conf = 0.99})[0].detections.empty());
}

TEST_P(DetectFrames, TracksKeepWhatIsBelowTheThresholdAndSurviveAChangeOfSize) {
  const std::string path = dir_.write("film.mp4", "x");
  // 0.9, 0.9, 0.3 (below the threshold, followed), 0.1 (nothing), 0.9 at twice the size.
  films_[path] = film(5, [](int64_t n) {
    const std::vector<uint8_t> values = {230, 230, 77, 26, 230};
    return plain(n == 4 ? 16 : 8, n == 4 ? 20 : 10, values[static_cast<size_t>(n)]);
  });
  VideoPipelineOptions options;
  options.classes = {0};
  options.make_tracker = [] { return std::make_unique<CountingTracker>(); };
  const std::vector<FrameResult> results = run({path, picture("p.ppm", 77)}, options);
  ASSERT_EQ(results.size(), 7u);
  std::vector<size_t> counts;
  for (const FrameResult& frame : results) counts.push_back(frame.detections.size());
  EXPECT_THAT(counts, ElementsAre(1, 1, 1, 0, 1, 0, 0)) << "frames, the end, and a picture";
  EXPECT_EQ(results[2].detections[0].track, 1);
  EXPECT_EQ(results[4].detections[0].detection.box[2], 20.0);
  ASSERT_EQ(results[4].tails.size(), 1u);
  EXPECT_EQ(results[4].tails[0].size(), 4u);
}

TEST_P(DetectFrames, FilmsHaveTrackersOfTheirOwn) {
  const std::string a = dir_.write("a.mp4", "x"), b = dir_.write("b.mp4", "x");
  films_[a] = film(3, [](int64_t) { return plain(8, 8, 200); });
  films_[b] = film(3, [](int64_t) { return plain(8, 4, 200); });
  const std::string list = dir_.write("both.streams", a + "\n" + b + "\n");
  VideoPipelineOptions options;
  std::atomic<int> made = 0;
  options.make_tracker = [&] {
    ++made;
    return std::make_unique<CountingTracker>();
  };
  EXPECT_EQ(run({list}, options).size(), 8u);
  EXPECT_EQ(made, 3) << "one each, and one that was asked for its lowest score";
}

TEST_P(DetectFrames, AnErrorOfWritingComesAfterWhatWasWritten) {
  const std::string path = dir_.write("film.mp4", "x");
  films_[path] = film(1'000'000, [](int64_t) { return plain(8, 8, 200); });
  vit::FeedOptions feeding;
  feeding.open = [this](const std::string& source, const vit::VideoOptions&) {
    return std::make_unique<vit::test::FakeStream>(films_.at(source));
  };
  vit::FrameFeed feed({path}, feeding);
  int64_t written = 0;
  const auto write = [&](FrameResult& frame) {
    if (frame.item.event.number == 30) vit::fail("disk full");
    ++written;
  };
  EXPECT_THROW(detect_frames(feed, brightness(), {}, {{"write", StageOrder::items, write}}), vit::Error);
  EXPECT_EQ(written, 30);
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kFreedIsKept = true;
#elif defined(__has_feature)
constexpr bool kFreedIsKept = __has_feature(address_sanitizer);
#else
constexpr bool kFreedIsKept = false;
#endif

int64_t open_files() {
  int64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_P(DetectFrames, MemoryAndFilesStayFlatOverTenThousandFrames) {
  const std::string path = dir_.write("film.mp4", "x");
  films_[path] = film(10'000, [](int64_t n) { return plain(64, 64, static_cast<uint8_t>(n % 200)); });
  vit::FeedOptions feeding;
  feeding.open = [this](const std::string& source, const vit::VideoOptions&) {
    return std::make_unique<vit::test::FakeStream>(films_.at(source));
  };
  vit::FrameFeed feed({path}, feeding);
  VideoPipelineOptions options;
  options.keep_images = true;
  options.make_tracker = [] { return std::make_unique<CountingTracker>(); };
  int64_t frames = 0, early_memory = 0, early_files = 0, most_memory = 0, most_files = 0;
  detect_frames(feed, brightness(), options, {{"write", StageOrder::items, [&](FrameResult&) {
                                                 if (++frames % 500 != 0) return;
                                                 most_memory = std::max(most_memory, vit::resident_memory());
                                                 most_files = std::max(most_files, open_files());
                                                 if (frames > 1000) return;
                                                 early_memory = most_memory;
                                                 early_files = most_files;
                                               }}});
  EXPECT_EQ(frames, 10'001);
  EXPECT_LE(most_files, early_files);
  // 9,000 frames of 12 KB would be 110 MB. AddressSanitizer keeps what is freed, up to 256 MB.
  if (!kFreedIsKept) {
    EXPECT_LE(most_memory - early_memory, 4 << 20);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, DetectFrames, testing::Values(1, 2, 5));

}  // namespace
}  // namespace detection
