#include "detection/coco_eval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "detection/coco_match.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"

namespace detection {
namespace {

using ::testing::HasSubstr;
using vit::test::failure;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

CocoObject object(int64_t image, int64_t category, const CocoBox& box) {
  return {.image = image, .category = category, .box = box, .area = box[2] * box[3]};
}

CocoTruth one_class(const std::vector<CocoObject>& objects, const std::vector<int64_t>& images = {1}) {
  return {.images = images, .categories = {1}, .names = {"thing"}, .objects = objects};
}

constexpr CocoBox kMedium = {10, 10, 40, 40}, kElsewhere = {300, 300, 40, 40};

TEST(CocoEval, PerfectDetectionsAreWorthOne) {
  const CocoSummary all = evaluate_coco(one_class({object(1, 1, kMedium), object(1, 1, kElsewhere)}),
                                        {{1, 1, kMedium, 0.9}, {1, 1, kElsewhere, 0.8}})
                              .summary();
  EXPECT_NEAR(all.map, 1.0, 1e-12);
  EXPECT_NEAR(all.map_medium, 1.0, 1e-12);
  EXPECT_EQ(all.map_small, -1.0) << "no object of that size";
  EXPECT_EQ(all.map_large, -1.0);
  EXPECT_NEAR(all.mar1, 0.5, 1e-12) << "one detection finds one of two";
  EXPECT_NEAR(all.mar100, 1.0, 1e-12);
}

TEST(CocoEval, PrecisionIsInterpolatedAt101Recalls) {
  // Right, wrong, right of two objects: precision 1 up to recall 0.5 (51 points), then 2/3 (50 points).
  const CocoResult result =
      evaluate_coco(one_class({object(1, 1, kMedium), object(1, 1, kElsewhere)}),
                    {{1, 1, kMedium, 0.9}, {1, 1, {150, 150, 9, 9}, 0.8}, {1, 1, kElsewhere, 0.7}});
  EXPECT_NEAR(result.summary().map, (51.0 + 50.0 * 2.0 / 3.0) / 101.0, 1e-12);
  EXPECT_NEAR(result.precision(0, 50, 0), 1.0, 1e-12);
  EXPECT_NEAR(result.precision(0, 51, 0), 2.0 / 3.0, 1e-12);
  EXPECT_EQ(result.score(0, 50, 0), 0.9);
  EXPECT_EQ(result.score(0, 51, 0), 0.7);
  EXPECT_EQ(result.objects(0), 2);
  EXPECT_EQ(result.detections(0), 3);
  EXPECT_EQ(result.mean_precision(0).size(), CocoResult::kRecalls);
}

TEST(CocoEval, OverlapDecidesAtEachThreshold) {
  // The upper 72 % of the object: right at overlaps 0.50 to 0.70, five of ten.
  const CocoResult result = evaluate_coco(one_class({object(1, 1, {0, 0, 100, 100})}), {{1, 1, {0, 0, 100, 72}, 0.5}});
  EXPECT_NEAR(result.summary().map, 0.5, 1e-12);
  EXPECT_NEAR(result.summary().map50, 1.0, 1e-12);
  EXPECT_EQ(result.summary().map75, 0.0);
}

TEST(CocoEval, EachObjectIsFoundOnce) {
  const CocoResult result =
      evaluate_coco(one_class({object(1, 1, kMedium)}), {{1, 1, kMedium, 0.5}, {1, 1, kMedium, 0.9}});
  EXPECT_NEAR(result.summary().map, 1.0, 1e-12) << "the second is wrong, but comes after full recall";
  EXPECT_EQ(result.score(0, 100, 0), 0.9);
}

TEST(CocoEval, CrowdsAreNeitherFoundNorMissed) {
  CocoObject crowd = object(1, 1, {200, 200, 100, 100});
  crowd.crowd = true;
  const CocoTruth truth = one_class({crowd, object(1, 1, kMedium)});
  // Three small boxes within the crowd lie wholly in it, so they are ignored; outside of it they would be wrong.
  const std::vector<CocoDetection> in_crowd = {
      {1, 1, {210, 210, 20, 40}, 0.95}, {1, 1, {240, 210, 20, 40}, 0.94}, {1, 1, kMedium, 0.9}};
  EXPECT_NEAR(evaluate_coco(truth, in_crowd).summary().map, 1.0, 1e-12);
  EXPECT_LT(evaluate_coco(one_class({object(1, 1, kMedium)}), in_crowd).summary().map, 0.5);
  EXPECT_EQ(evaluate_coco(one_class({crowd}), in_crowd).summary().map, -1.0) << "nothing that counts";
  EXPECT_DOUBLE_EQ(coco_overlap({210, 210, 20, 40}, crowd.box, true), 1.0);
  EXPECT_DOUBLE_EQ(coco_overlap({210, 210, 20, 40}, crowd.box, false), 0.08);
}

TEST(CocoEval, DifficultObjectsAreNeitherFoundNorMissed) {
  CocoObject difficult = object(1, 1, kElsewhere);
  difficult.difficult = true;
  const CocoTruth truth = one_class({difficult, object(1, 1, kMedium)});
  EXPECT_NEAR(evaluate_coco(truth, {{1, 1, kMedium, 0.9}}).summary().mar100, 1.0, 1e-12);
  EXPECT_NEAR(evaluate_coco(truth, {{1, 1, kElsewhere, 0.95}, {1, 1, kMedium, 0.9}}).summary().map, 1.0, 1e-12);
}

TEST(CocoEval, AreaOfObjectsIsTheAnnotationsOfDetectionsTheBoxes) {
  CocoObject thin = object(1, 1, {0, 0, 50, 50});  // its box is medium, the object itself small
  thin.area = 900.0;
  const CocoSummary found = evaluate_coco(one_class({thin}), {{1, 1, {0, 0, 50, 50}, 0.9}}).summary();
  EXPECT_NEAR(found.map_small, 1.0, 1e-12);
  EXPECT_EQ(found.map_medium, -1.0);
  // A wrong detection only counts where its own area belongs.
  const CocoSummary wrong =
      evaluate_coco(one_class({thin, object(1, 1, kElsewhere)}),
                    {{1, 1, {100, 100, 10, 10}, 0.99}, {1, 1, {0, 0, 50, 50}, 0.9}, {1, 1, kElsewhere, 0.8}})
          .summary();
  EXPECT_NEAR(wrong.map_small, 0.5, 1e-12);
  EXPECT_NEAR(wrong.map_medium, 1.0, 1e-12);
  // 32 x 32 is small and medium.
  const CocoSummary edge = evaluate_coco(one_class({object(1, 1, {0, 0, 32, 32})}), {}).summary();
  EXPECT_EQ(edge.map_small, 0.0);
  EXPECT_EQ(edge.map_medium, 0.0);
}

TEST(CocoEval, OfEqualScoresTheFirstInTheFileCounts) {
  const CocoTruth truth = one_class({object(1, 1, kMedium)});
  const CocoDetection right{1, 1, kMedium, 0.5}, wrong{1, 1, kElsewhere, 0.5};
  EXPECT_NEAR(evaluate_coco(truth, {right, wrong}).summary().map, 1.0, 1e-12);
  EXPECT_NEAR(evaluate_coco(truth, {wrong, right}).summary().map, 0.5, 1e-12);
  // Between pictures, that of the smaller id.
  const CocoTruth two = one_class({object(7, 1, kMedium)}, {7, 3});
  EXPECT_NEAR(evaluate_coco(two, {{7, 1, kMedium, 0.5}, {3, 1, kMedium, 0.5}}).summary().map, 0.5, 1e-12);
}

TEST(CocoEval, AHundredDetectionsPerPictureAndClassCount) {
  std::vector<CocoDetection> detections;
  for (int i = 0; i < 100; ++i) detections.push_back({1, 1, {500.0 + i, 500, 20, 20}, 0.9});
  detections.push_back({1, 1, kMedium, 0.8});
  const CocoTruth truth = one_class({object(1, 1, kMedium)});
  EXPECT_EQ(evaluate_coco(truth, detections).summary().mar100, 0.0);
  detections.front().score = 0.7;
  const CocoResult result = evaluate_coco(truth, detections);
  EXPECT_NEAR(result.summary().mar100, 1.0, 1e-12);
  EXPECT_EQ(result.summary().mar10, 0.0);
  EXPECT_EQ(result.detections(0), 101);
}

TEST(CocoEval, ClassesWithoutObjectsAreLeftOutOfTheMean) {
  const CocoTruth truth{.images = {1, 2}, .categories = {9, 4}, .names = {}, .objects = {object(1, 9, kMedium)}};
  const CocoResult result = evaluate_coco(truth, {{1, 9, kMedium, 0.9}, {2, 4, kMedium, 0.9}, {2, 77, kMedium, 0.9}});
  EXPECT_EQ(result.categories(), (std::vector<int64_t>{4, 9}));
  EXPECT_EQ(result.summary(0).map, -1.0);
  EXPECT_NEAR(result.summary(1).map, 1.0, 1e-12);
  EXPECT_NEAR(result.summary().map, 1.0, 1e-12);
}

TEST(CocoEval, AnAnnotationWithIdZeroIsTakenForNoneAsInPycocotools) {
  CocoObject zero = object(1, 1, kMedium);
  zero.id = 0;
  const CocoSummary figures = evaluate_coco(one_class({zero}), {{1, 1, kMedium, 0.9}}).summary();
  EXPECT_EQ(figures.map, 0.0);
  EXPECT_EQ(figures.mar100, 0.0);
}

TEST(CocoEval, NothingAtAll) {
  EXPECT_EQ(evaluate_coco({}, {}).summary().map, -1.0);
  EXPECT_EQ(evaluate_coco(one_class({object(1, 1, kMedium)}), {}).summary().map, 0.0);
  EXPECT_EQ(evaluate_coco(one_class({}), {{1, 1, kMedium, 0.9}}).summary().map, -1.0);
  EXPECT_TRUE(evaluate_coco(one_class({}), {}).mean_precision(0).empty());
}

TEST(CocoEval, WhatCannotBeCountedIsRefused) {
  const CocoTruth truth = one_class({object(1, 1, kMedium)});
  EXPECT_THAT(failure([&] {
                evaluate_coco(truth, {{5, 1, kMedium, 0.9}});
              }),
              HasSubstr("detection 0 is in image 5, which is not among the images"));
  EXPECT_THAT(failure([&] { evaluate_coco(truth, {{1, 1, kMedium, kNaN}}); }), HasSubstr("expected finite numbers"));
  EXPECT_THAT(failure([&] { evaluate_coco(truth, {{1, 1, {0, kNaN, 1, 1}, 0.5}}); }), HasSubstr("finite"));
  EXPECT_THAT(failure([&] { evaluate_coco(one_class({object(1, 1, {0, 0, kNaN, 1})}), {}); }), HasSubstr("finite"));
  EXPECT_THAT(failure([&] { evaluate_coco(one_class({object(2, 1, kMedium)}), {}); }), HasSubstr("image 2"));
  EXPECT_THAT(failure([&] { evaluate_coco(one_class({object(1, 3, kMedium)}), {}); }), HasSubstr("category id 3"));
  EXPECT_THAT(failure([&] { evaluate_coco(one_class({}, {4, 4}), {}); }), HasSubstr("image id 4 stands twice"));
}

TEST(CocoEval, PicturesOneAfterTheOther) {
  CocoEvaluator evaluator({"cat", "dog"});
  datasets::BoxAnnotation dog{.box = {10, 20, 50, 60}, .label = 1, .area = 1600.0};
  evaluator.add(12, {dog}, {{.index = 1, .score = 0.7, .box = {10, 20, 50, 60}}});
  evaluator.add(5, {}, {});
  EXPECT_EQ(evaluator.images(), 2);
  EXPECT_NEAR(evaluator.result().summary().map, 1.0, 1e-12);
  EXPECT_EQ(evaluator.detections().front().box, (CocoBox{10, 20, 40, 40}));
  evaluator.add(5, {}, {});
  EXPECT_THAT(failure([&] { evaluator.result(); }), HasSubstr("image id 5 stands twice"));
}

TEST(CocoEval, BoxFormsAreOneAnothersInverse) {
  EXPECT_EQ(coco_box({1, 2, 4, 8}), (CocoBox{1, 2, 3, 6}));
  EXPECT_EQ(corners_of({1, 2, 3, 6}), (vit::Corners{1, 2, 4, 8}));
}

/// Many pictures and classes, with jittered detections.
std::pair<CocoTruth, std::vector<CocoDetection>> crowded_set(int64_t images, int64_t classes) {
  vit::Rng rng(11);
  const auto uniform = [&](double low, double high) { return low + (high - low) * static_cast<double>(rng.uniform()); };
  CocoTruth truth;
  std::vector<CocoDetection> detections;
  for (int64_t k = 0; k < classes; ++k) truth.categories.push_back(k + 1);
  for (int64_t i = 0; i < images; ++i) {
    truth.images.push_back(i);
    for (int n = 0; n < 8; ++n) {
      const CocoBox box = {uniform(0, 400), uniform(0, 400), uniform(5, 200), uniform(5, 200)};
      CocoObject one = object(i, 1 + static_cast<int64_t>(uniform(0, 0.999) * static_cast<double>(classes)), box);
      one.crowd = n == 7;
      truth.objects.push_back(one);
      for (int d = 0; d < 4; ++d)
        detections.push_back({i,
                              one.category,
                              {box[0] + uniform(-9, 9), box[1] + uniform(-9, 9), box[2] + uniform(-4, 4), box[3]},
                              std::round(100.0 * uniform(0, 1)) / 100.0});
    }
  }
  return {truth, detections};
}

TEST(CocoEval, TheSameFiguresOnAnyNumberOfThreads) {
  const auto [truth, detections] = crowded_set(60, 7);
  vit::set_num_threads(1);
  const auto alone = evaluate_coco(truth, detections).summary().figures();
  vit::set_num_threads(0);
  EXPECT_EQ(evaluate_coco(truth, detections).summary().figures(), alone);
  EXPECT_GT(alone[0].second, 0.05);
  EXPECT_LT(alone[0].second, 0.95);
}

}  // namespace
}  // namespace detection
