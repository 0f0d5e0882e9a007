// What detectors' checkpoints say about pre-processing, and what training makes of it.
#include "detection/processor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "vit/io/checkpoint.h"

namespace detection {
namespace {

/// A model that answers nothing.
class Silent : public DetectionModel {
 public:
  Silent() { info_.input_size = {96, 160}; }
  DetectionOutput detect(vit::Context&, const DetectionInput&) const override { return {}; }
  Scoring scoring() const override { return Scoring::softmax; }
  int64_t num_queries() const override { return 0; }
  vit::ConfigNode describe() const override { return {}; }
  void set_training(const vit::TrainingOptions&) override {}
  std::vector<std::string> replace_head(int64_t) override { return {}; }
  const std::map<std::string, vit::ReferenceOutput>& reference_names() const override {
    static const std::map<std::string, vit::ReferenceOutput> none;
    return none;
  }
  void set_input_size(int64_t, int64_t) override {}
};

vit::Preprocessor read(const nlohmann::ordered_json& json) {
  return vit::Preprocessor::from_hugging_face(nlohmann::json(json), "test");
}

TEST(Processor, ModelFromNothingStretchesToItsInput) {
  const vit::Preprocessor made = read(processor_config(nullptr, Silent()));
  EXPECT_EQ(made.output_size({500, 300}), (vit::Extent{96, 160}));
  EXPECT_EQ(made.fixed_size(), (vit::Extent{96, 160}));
  EXPECT_FALSE(made.padding().enabled);
  EXPECT_TRUE(made.to_float().normalize);
}

TEST(Processor, RatioIsKeptWithinTheInput) {
  const vit::Preprocessor made =
      read(processor_config(nullptr, Silent(), {.size = vit::Extent{64, 64}, .keep_ratio = true}));
  EXPECT_EQ(made.output_size({500, 250}), (vit::Extent{64, 32}));
  EXPECT_TRUE(made.padding().enabled);
  EXPECT_EQ(made.padding().to, (vit::Extent{64, 64}));
}

TEST(Processor, ChangesGoIntoTheFile) {
  const nlohmann::ordered_json json = processor_config(
      nullptr, Silent(),
      {.mean = std::array{0.1, 0.2, 0.3}, .std = std::array{0.5, 0.5, 0.5}, .interpolation = "bicubic"});
  EXPECT_EQ(json.at("image_mean"), (std::vector<double>{0.1, 0.2, 0.3}));
  EXPECT_EQ(json.at("resample"), 3);
  EXPECT_TRUE(json.at("do_normalize").get<bool>());
  EXPECT_THAT(vit::test::usage_error([] {
                processor_config(nullptr, Silent(), {.std = std::array{0.5, 0.0, 0.5}});
              }),
              testing::HasSubstr("std"));
  EXPECT_THAT(vit::test::usage_error([] { processor_config(nullptr, Silent(), {.interpolation = "bicubik"}); }),
              testing::HasSubstr("bicubic"));
}

}  // namespace
}  // namespace detection
