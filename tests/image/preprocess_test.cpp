// The arithmetic of pre-processing on sizes that the references disagree about, class defaults, legacy keys and errors.
// The bytes and values are compared with timm and transformers in the reference case D_preprocess (tests/parity).
#include "vit/image/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"

namespace vit {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Preprocessor hugging_face(const json& config, const std::string& default_type = "",
                          const PreprocessOverrides& overrides = {}) {
  return Preprocessor::from_hugging_face(config, "preprocessor_config.json", default_type, overrides);
}

Preprocessor timm(const json& config, const PreprocessOverrides& overrides = {}) {
  return Preprocessor::from_timm(config, "config.json", overrides);
}

template <class Step>
Step first(const Preprocessor& preprocessor) {
  return std::get<Step>(preprocessor.steps().at(0));
}

Extent size_of(const Preprocessor& preprocessor, int64_t height, int64_t width) {
  return preprocessor.output_size({height, width});
}

TEST(Timm, DefaultsAreTimms) {
  const Preprocessor preprocessor = timm(json::object());
  EXPECT_EQ(first<ResizeShortest>(preprocessor).size, 256);  // floor(224 / 0.875)
  EXPECT_EQ(first<ResizeShortest>(preprocessor).filter, Filter::kBicubic);
  EXPECT_EQ(preprocessor.fixed_size(), (Extent{224, 224}));
  EXPECT_FLOAT_EQ(preprocessor.to_float().mean[0], 0.485f);
  EXPECT_FLOAT_EQ(preprocessor.to_float().std[2], 0.225f);
  EXPECT_EQ(preprocessor.to_float().rescale, ToFloat::Rescale::kDivideBy255);
}

TEST(Timm, CropModesChooseTheResize) {
  const auto with_mode = [](const char* mode, json size) {
    return timm({{"crop_mode", mode}, {"input_size", size}, {"crop_pct", 0.9}, {"interpolation", "bicubic"}});
  };
  EXPECT_EQ(first<ResizeTo>(with_mode("squash", {3, 224, 192})).to, (Extent{248, 213}));
  EXPECT_TRUE(first<ResizeKeepRatio>(with_mode("border", {3, 224, 224})).longest);
  EXPECT_EQ(first<ResizeKeepRatio>(with_mode("border", {3, 224, 224})).filter, Filter::kBicubic);
  // A centre crop that is not square resizes bilinearly whatever is configured.
  EXPECT_EQ(first<ResizeKeepRatio>(with_mode("center", {3, 224, 192})).filter, Filter::kBilinear);
  EXPECT_EQ(first<ResizeShortest>(with_mode("center", {3, 224, 224})).size, 248);
}

TEST(Timm, BorderIsFilledWithTheMean) {
  const Preprocessor preprocessor = timm({{"crop_mode", "border"}, {"crop_pct", 1.0}, {"input_size", {3, 4, 4}}});
  const Image result = preprocessor.resized(test::picture(2, 4, std::vector<uint8_t>(24, 9)));
  const std::vector<uint8_t> pixels = test::pixels_of(result);
  EXPECT_EQ((std::vector<uint8_t>{pixels.begin(), pixels.begin() + 3}), (std::vector<uint8_t>{124, 116, 104}));
  EXPECT_EQ(pixels[3 * 4], 9);
}

TEST(Timm, RandomInterpolationIsBilinear) {
  EXPECT_EQ(first<ResizeShortest>(timm({{"interpolation", "random"}})).filter, Filter::kBilinear);
}

TEST(Timm, ImageSizeOverridesTheInput) {
  const Preprocessor preprocessor = timm({{"input_size", {3, 224, 224}}, {"crop_pct", 1.0}}, {.image_size = 384});
  EXPECT_EQ(preprocessor.fixed_size(), (Extent{384, 384}));
  EXPECT_EQ(first<ResizeShortest>(preprocessor).size, 384);
}

TEST(Timm, OddMarginsRoundHalfToEven) {
  // Resized to 5 x 5; a crop of 2 leaves 3 pixels: 1.5 rounds to 2. A crop of 4 leaves 1: 0.5 rounds to 0.
  const Image ramp = test::pattern(5, 5);
  for (const auto& [crop, offset] : {std::pair{2, 2}, std::pair{4, 0}}) {
    const Preprocessor preprocessor({CenterCrop{.to = {crop, crop}}}, ToFloat{});
    const Image result = preprocessor.resized(ramp);
    EXPECT_EQ(result.row(0)[0], ramp.row(offset)[3 * offset]) << crop;
  }
  const Preprocessor down({CenterCrop{.to = {2, 2}, .rounding = CenterCrop::Rounding::kTransformers}}, ToFloat{});
  EXPECT_EQ(down.resized(ramp).row(0)[0], ramp.row(1)[3]);
}

TEST(Timm, CropsLargerThanThePictureArePadded) {
  const Image dot = test::picture(1, 1, {200, 200, 200});
  const Preprocessor torchvision({CenterCrop{.to = {2, 4}}}, ToFloat{});
  EXPECT_EQ(torchvision.resized(dot).row(0)[3 * 1], 200);  // (4 - 1) / 2 = 1 in front, 0 above
  const Preprocessor transformers({CenterCrop{.to = {2, 4}, .rounding = CenterCrop::Rounding::kTransformers}},
                                  ToFloat{});
  EXPECT_EQ(transformers.resized(dot).row(1)[3 * 2], 200);  // ceil(3 / 2) = 2 in front, 1 above
  EXPECT_EQ(transformers.resized(dot).row(0)[3 * 2], 0);
}

TEST(Timm, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(test::usage_error([] { timm({{"crop_mode", "middle"}}); }), HasSubstr("known: center, squash, border"));
  EXPECT_THAT(test::usage_error([] {
                timm({{"interpolation", "cubic"}});
              }),
              HasSubstr("unknown interpolation 'cubic'"));
  EXPECT_THAT(test::usage_error([] { timm({{"input_size", {1, 28, 28}}}); }), HasSubstr("config.json: input_size"));
  EXPECT_THAT(test::usage_error([] { timm({{"input_size", {3, 1e9, 28}}}); }), HasSubstr("input_size"));
  EXPECT_THAT(test::usage_error([] { timm({{"std", {0.2, 0.0, 0.2}}}); }), HasSubstr("std"));
  EXPECT_THAT(test::usage_error([] { timm({{"mean", {0.5, 0.5}}}); }), HasSubstr("mean"));
  EXPECT_THAT(test::usage_error([] { timm({{"crop_pct", "all"}}); }), HasSubstr("crop_pct"));
  EXPECT_THAT(test::usage_error([] { timm(json::array()); }), HasSubstr("config.json"));
}

TEST(HuggingFace, ClassDefaults) {
  const auto of = [](const char* type) { return hugging_face({{"image_processor_type", type}}); };
  EXPECT_EQ(of("ViTImageProcessor").description(),
            "resize to 224 x 224 (bilinear), x 0.00392157, mean [0.5, 0.5, 0.5], std [0.5, 0.5, 0.5]");
  EXPECT_THAT(of("DeiTImageProcessor").description(),
              HasSubstr("resize to 256 x 256 (bicubic), centre crop 224 x 224"));
  EXPECT_THAT(of("CLIPImageProcessor").description(),
              HasSubstr("shorter side to 224 (bicubic), centre crop 224 x 224"));
  EXPECT_FLOAT_EQ(of("CLIPImageProcessor").to_float().mean[0], 0.48145466f);
  EXPECT_THAT(of("BlipImageProcessor").description(), HasSubstr("resize to 384 x 384 (bicubic), x"));
  EXPECT_FLOAT_EQ(of("BitImageProcessor").to_float().std[2], 0.27577711f);
  EXPECT_THAT(of("ConvNextImageProcessor").description(), HasSubstr("resize to 384 x 384 (bicubic), x"));
  EXPECT_THAT(of("DetrImageProcessor").description(), HasSubstr("shorter side to 800, longer at most 1333 (bilinear)"));
  EXPECT_TRUE(of("DetrImageProcessor").padding().enabled);
  EXPECT_THAT(of("YolosImageProcessor").description(), HasSubstr("down to multiples of 16"));
  EXPECT_THAT(of("RTDetrImageProcessor").description(), HasSubstr("resize to 640 x 640 (bilinear), x 0.00392157"));
  EXPECT_FALSE(of("RTDetrImageProcessor").to_float().normalize);
  EXPECT_FALSE(of("RTDetrImageProcessor").padding().enabled);
}

TEST(HuggingFace, EveryKnownTypeBuildsUnderAllItsNames) {
  for (const std::string& type : Preprocessor::hugging_face_types()) {
    const std::string stem = type.substr(0, type.size() - std::string("ImageProcessor").size());
    const std::string expected = hugging_face(json::object(), type).description();
    EXPECT_EQ(hugging_face({{"image_processor_type", type + "Fast"}}).description(), expected);
    EXPECT_EQ(hugging_face({{"feature_extractor_type", stem + "FeatureExtractor"}}).description(), expected);
  }
}

TEST(HuggingFace, LegacyNumbersMeanWhatTheClassSays) {
  EXPECT_EQ(first<ResizeTo>(hugging_face({{"size", 384}}, "ViTFeatureExtractor")).to, (Extent{384, 384}));
  const Preprocessor clip =
      hugging_face({{"size", 336}, {"crop_size", 336}, {"feature_extractor_type", "CLIPFeatureExtractor"}});
  EXPECT_EQ(first<ResizeShortest>(clip).size, 336);
  EXPECT_EQ(clip.fixed_size(), (Extent{336, 336}));
  const Preprocessor detr = hugging_face({{"size", 600}, {"max_size", 1000}}, "DetrFeatureExtractor");
  EXPECT_EQ(first<ResizeShortestLongest>(detr).shortest, 600);
  EXPECT_EQ(first<ResizeShortestLongest>(detr).longest, 1000);
  EXPECT_EQ(first<ResizeShortestLongest>(hugging_face({{"size", 600}}, "YolosFeatureExtractor")).longest, 1333);
}

TEST(HuggingFace, SwitchesAreObeyed) {
  const Preprocessor bare =
      hugging_face({{"do_resize", false}, {"do_rescale", false}, {"do_normalize", false}, {"do_center_crop", false}},
                   "CLIPImageProcessor");
  const Image image = test::picture(1, 2, {1, 2, 3, 4, 5, 6});
  const Tensor pixels = bare(image);
  EXPECT_EQ(pixels.shape(), (Shape{3, 1, 2}));
  EXPECT_THAT(std::vector<float>(pixels.f32(), pixels.f32() + 6), testing::ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_FALSE(bare.fixed_size().has_value());
}

TEST(HuggingFace, ConvNextCropsBelow384) {
  const Preprocessor small = hugging_face({{"size", {{"shortest_edge", 224}}}}, "ConvNextImageProcessor");
  EXPECT_EQ(first<ResizeShortest>(small).size, 256);
  EXPECT_EQ(small.fixed_size(), (Extent{224, 224}));
}

TEST(HuggingFace, DetectionSizesFollowTheReference) {
  const Preprocessor detr = hugging_face(json::object(), "DetrImageProcessor");
  EXPECT_EQ(size_of(detr, 480, 640), (Extent{800, 1066}));
  EXPECT_EQ(size_of(detr, 800, 800), (Extent{800, 800}));
  EXPECT_EQ(size_of(detr, 400, 1200), (Extent{444, 1333}));  // round(1333 * 400 / 1200) = 444, int(444.33 * 3) = 1333
  const Preprocessor yolos = hugging_face(json::object(), "YolosImageProcessor");
  EXPECT_EQ(size_of(yolos, 480, 640), (Extent{800, 1056}));
  const Preprocessor within = hugging_face({{"size", {{"max_height", 100}, {"max_width", 300}}}}, "DetrImageProcessor");
  EXPECT_EQ(size_of(within, 50, 60), (Extent{100, 120}));
  EXPECT_THAT(test::failure([&] { size_of(detr, 1, 60000); }), HasSubstr("would become 0 x"));
}

TEST(HuggingFace, ImageSizeKeepsTheProportions) {
  const PreprocessOverrides to_384{.image_size = 384};
  const Preprocessor deit = hugging_face(json::object(), "DeiTImageProcessor", to_384);
  EXPECT_EQ(first<ResizeTo>(deit).to, (Extent{439, 439}));  // 256 * 384 / 224
  EXPECT_EQ(deit.fixed_size(), (Extent{384, 384}));
  EXPECT_EQ(hugging_face(json::object(), "ViTImageProcessor", to_384).fixed_size(), (Extent{384, 384}));
  EXPECT_EQ(
      first<ResizeShortestLongest>(hugging_face(json::object(), "DetrImageProcessor", {.image_size = 400})).longest,
      667);
}

TEST(HuggingFace, RefusesWhatItDoesNotKnow) {
  const auto error = [](const json& config) {
    return test::usage_error([&] { hugging_face(config, "ViTImageProcessor"); });
  };
  EXPECT_THAT(error({{"image_processor_type", "ViTImageProcesor"}}), HasSubstr("did you mean 'ViTImageProcessor'"));
  EXPECT_THAT(error({{"image_processor_type", "SamImageProcessor"}}), HasSubstr("known: ViTImageProcessor, DeiT"));
  EXPECT_THAT(error({{"size", {{"height", 224}}}}),
              HasSubstr("preprocessor_config.json: size: expected both height and width"));
  EXPECT_THAT(error({{"size", -3}}), HasSubstr("size"));
  EXPECT_THAT(error({{"size", {{"longest_edge", 3}}}}), HasSubstr("size"));
  EXPECT_THAT(error({{"resample", 9}}), HasSubstr("resample"));
  EXPECT_THAT(error({{"image_std", 0}}), HasSubstr("std"));
  EXPECT_THAT(error({{"do_resize", "yes"}}), HasSubstr("do_resize"));
  EXPECT_THAT(error({{"do_center_crop", true}}), HasSubstr("crop_size"));
  EXPECT_THAT(test::usage_error([] { hugging_face(json::object()); }), HasSubstr("has no image_processor_type"));
}

TEST(Batch, PadsAtTheBottomAndRightAfterNormalising) {
  const Preprocessor preprocessor({}, {.rescale = ToFloat::Rescale::kNone, .normalize = true, .mean = {1, 1, 1}},
                                  {.enabled = true});
  const PixelBatch batch = preprocessor.batch(
      {test::picture(1, 2, std::vector<uint8_t>(6, 5)), test::picture(2, 1, std::vector<uint8_t>(6, 7))});
  ASSERT_EQ(batch.pixel_values.shape(), (Shape{2, 3, 2, 2}));
  EXPECT_THAT(std::vector<float>(batch.pixel_values.f32(), batch.pixel_values.f32() + 4),
              testing::ElementsAre(4, 4, 0, 0));
  EXPECT_THAT(std::vector<float>(batch.pixel_values.f32() + 12, batch.pixel_values.f32() + 16),
              testing::ElementsAre(6, 0, 6, 0));
  const auto mask = batch.pixel_mask.span<int64_t>();
  EXPECT_THAT(std::vector<int64_t>(mask.begin(), mask.end()), testing::ElementsAre(1, 1, 0, 0, 1, 0, 1, 0));
  EXPECT_EQ(batch.sizes[1], (Extent{2, 1}));
}

TEST(Batch, RefusesMixedSizesWithoutPadding) {
  const Preprocessor preprocessor({}, ToFloat{});
  EXPECT_THAT(test::failure([&] {
                preprocessor.batch({test::pattern(2, 2), test::pattern(2, 3)});
              }),
              HasSubstr("different sizes"));
  EXPECT_THAT(test::failure([&] { preprocessor.batch({}); }), HasSubstr("no pictures"));
  const Preprocessor bounded({}, ToFloat{}, {.enabled = true, .to = Extent{2, 2}});
  EXPECT_THAT(test::failure([&] { bounded.batch({test::pattern(2, 3)}); }), HasSubstr("pad_size"));
}

TEST(Preprocess, ThinPicturesAreCroppedWithoutEnormousBuffers) {
  const Tensor pixels = timm(json::object())(test::pattern(1, 40000));
  EXPECT_EQ(pixels.shape(), (Shape{3, 224, 224}));
}

}  // namespace
}  // namespace vit
