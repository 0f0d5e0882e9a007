#include "vit/nn/conv_stem.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "vit/core/config.h"

namespace vit {
namespace {

ConvStemOptions options_from(const std::string& text) {
  return read_config<ConvStemOptions>(ConfigNode::parse(text, "stem"));
}

TEST(ConvStem, NormIsChosenByConfiguration) {
  const auto names = [](const std::string& norm) {
    ConvStem stem(options_from("{channels: [4, 6], strides: [2, 2], norm: " + norm + "}"), 3, 8, 1e-6f);
    std::set<std::string> all;
    stem.visit_parameters([&](const std::string& name, Parameter&) { all.insert(name); });
    return all;
  };
  EXPECT_FALSE(names("layernorm").count("norms.1.running_var"));
  EXPECT_TRUE(names("layernorm").count("norms.1.weight"));
  EXPECT_TRUE(names("batchnorm").count("norms.1.running_var"));
  EXPECT_EQ(options_from("{channels: [4], strides: [2]}").norm, StemNorm::layer_norm);
  EXPECT_THAT(test::usage_error([&] { options_from("{channels: [4], strides: [2], norm: batchnrm}"); }),
              testing::HasSubstr("batchnorm"));
  EXPECT_THAT(test::usage_error([&] { options_from("{channels: [4, 6], strides: [2]}"); }),
              testing::HasSubstr("each convolution needs both"));
}

TEST(ConvStem, MakesTokensAndRightGradients) {
  for (const StemNorm norm : {StemNorm::layer_norm, StemNorm::batch_norm}) {
    ConvStem stem({.channels = {4, 6}, .strides = {1, 2}, .norm = norm}, 3, 8, 1e-6f);
    test::fill_leaves(stem);
    const Tensor image = test::random_tensor({2, 3, 6, 8}, 1);
    Context ctx;
    EXPECT_EQ(stem.forward(ctx, image).shape(), (Shape{2, 3 * 4, 8}));
    test::expect_directional_derivatives(stem, [&](Context& c) { return stem.forward(c, image); });
    EXPECT_THAT(test::failure([&] {
                  stem.forward(ctx, test::random_tensor({2, 3, 7, 8}, 1));
                }),
                testing::HasSubstr("multiples of 2"));
  }
}

}  // namespace
}  // namespace vit
