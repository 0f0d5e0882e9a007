// The mechanism of docs/adding_an_attention.md: this file and nothing else adds it, and registry_test sweeps it with
// all others. What stands between the two marks is the document's code, word for word.

// [example]
#include "vit/autograd/tensor_ops.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace vit {

struct MeanAttentionOptions {
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

class MeanAttention : public Attention {
 public:
  using Options = MeanAttentionOptions;
  MeanAttention(const AttentionShape& shape, const Options& options) : proj_(shape.dim, shape.dim, options.proj_bias) {
    add_module("proj", proj_);
  }

  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override {
    const int64_t tokens = x.size(1), asking = input.wanted_tokens > 0 ? input.wanted_tokens : tokens;
    if (ctx.wants("probs"))
      ctx.observe("probs", Tensor::full({x.size(0), 1, asking, tokens}, 1.0f / static_cast<float>(tokens)));
    const Var change = subtract(ctx, mean(ctx, x, {1}, /*keep=*/true), slice_tokens(ctx, x, 0, asking));
    return proj_.forward(ctx, change, input.residual);
  }

 private:
  Linear proj_;
};

VITKIT_REGISTER_ATTENTION("mean", MeanAttention, .family = AttentionFamily::spatial,
                          .summary = "every token is pulled towards the mean of all", .formula = "W (mean(x) - x)",
                          .source = "after Yu et al. 2022 (PoolFormer), eq. 4, with one pool over the whole grid",
                          .complexity = "O(N C^2)", .equivariance = Equivariance::tokens);

}  // namespace vit
// [example]

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace vit {
namespace {

std::string between_marks(const std::string& text) {
  const std::string mark = "// [example]\n";
  const size_t begin = text.find(mark) + mark.size();
  return text.substr(begin, text.find(mark, begin) - begin);
}

TEST(ExampleAttention, IsTheDocumentsAndIsRegistered) {
  EXPECT_TRUE(attention_registry().contains("mean"));
  const std::string root = VITKIT_SOURCE_DIR;
  const std::string document = test::slurp(root + "/docs/adding_an_attention.md");
  const std::string code = between_marks(test::slurp(root + "/tests/attention/example_attention_test.cpp"));
  EXPECT_GT(code.size(), 1000u);
  EXPECT_NE(document.find("```cpp\n" + code + "```\n"), std::string::npos)
      << "docs/adding_an_attention.md shows other code";
}

}  // namespace
}  // namespace vit
