// Gradients of the ops that move, join and reduce tokens against finite differences of their plain definitions.
#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/plain_tokens.h"
#include "vit/autograd/tape.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;
using Vars = std::vector<Var>;
using Plains = std::vector<Plain>;

template <class Run, class Expression>
GradientCase token_case(const std::string& name, const std::vector<Shape>& shapes, const Run& run,
                        const Expression& expression) {
  GradientCase op{.name = name};
  for (const Shape& shape : shapes) op.inputs.push_back(random_tensor(shape, 40 + op.inputs.size()));
  op.run = run;
  op.plain = [expression](const Plains& v) { return Plain(expression(v)); };
  return op;
}

void add_joins(std::vector<GradientCase>& all) {
  all.push_back(token_case(
      "join", {{1, 2, 5}, {3, 4, 5}, {1, 4, 5}},
      [](Context& ctx, const Vars& v) { return join_tokens(ctx, v[0], v[1], v[2]); },
      [](const Plains& v) { return plain::join_tokens<double>(v[0], v[1], v[2]); }));
  all.push_back(token_case(
      "join_no_position", {{1, 2, 5}, {3, 4, 5}},
      [](Context& ctx, const Vars& v) { return join_tokens(ctx, v[0], v[1], {}); },
      [](const Plains& v) { return plain::join_tokens<double>(v[0], v[1], Plain(0.0)); }));
  all.push_back(token_case(
      "join_no_prefix", {{3, 4, 5}, {1, 4, 5}},
      [](Context& ctx, const Vars& v) { return join_tokens(ctx, {}, v[0], v[1]); },
      [](const Plains& v) { return v[0] + v[1]; }));
  for (const auto& [name, a, b] : {std::tuple{"concat_tokens", int64_t{3}, int64_t{3}},
                                   std::tuple{"concat_tokens_first_repeated", int64_t{1}, int64_t{3}},
                                   std::tuple{"concat_tokens_second_repeated", int64_t{3}, int64_t{1}}}) {
    all.push_back(token_case(
        name, {{a, 2, 5}, {b, 4, 5}}, [](Context& ctx, const Vars& v) { return concat_tokens(ctx, v[0], v[1]); },
        [](const Plains& v) {
          return plain::concat<double>(plain::for_batch<double>(v[0], 3), plain::for_batch<double>(v[1], 3), 1);
        }));
  }
  all.push_back(token_case(
      "concat_features", {{3, 5}, {3, 4}}, [](Context& ctx, const Vars& v) { return concat_features(ctx, v[0], v[1]); },
      [](const Plains& v) { return plain::concat<double>(v[0], v[1], 1); }));
}

void add_slices(std::vector<GradientCase>& all) {
  all.push_back(token_case(
      "slice_rows", {{6, 5}}, [](Context& ctx, const Vars& v) { return slice_rows(ctx, v[0], 2, 5); },
      [](const Plains& v) { return plain::slice<double>(v[0], 0, 2, 5); }));
  all.push_back(token_case(
      "slice_features", {{2, 3, 7}}, [](Context& ctx, const Vars& v) { return slice_features(ctx, v[0], 1, 5); },
      [](const Plains& v) { return plain::slice<double>(v[0], 2, 1, 5); }));
  all.push_back(token_case(
      "slice_tokens", {{2, 6, 3}}, [](Context& ctx, const Vars& v) { return slice_tokens(ctx, v[0], 1, 4); },
      [](const Plains& v) { return plain::slice<double>(v[0], 1, 1, 4); }));
  all.push_back(token_case(
      "select_token", {{2, 6, 3}}, [](Context& ctx, const Vars& v) { return select_token(ctx, v[0], 5); },
      [](const Plains& v) { return plain::slice<double>(v[0], 1, 5, 6); }));
  all.push_back(token_case(
      "reshape", {{2, 6, 3}},
      [](Context& ctx, const Vars& v) {
        return reshape(ctx, v[0], {4, 9});
      },
      [](const Plains& v) { return v[0]; }));
  // Two parts of one tensor, the second a view of its memory: gradients meet in one place.
  all.push_back(token_case(
      "parts_meet", {{4, 6}},
      [](Context& ctx, const Vars& v) {
        return multiply(ctx, slice_rows(ctx, v[0], 0, 2), reshape(ctx, slice_rows(ctx, v[0], 1, 3), {2, 6}));
      },
      [](const Plains& v) {
        return Plain(plain::slice<double>(v[0], 0, 0, 2) * plain::slice<double>(v[0], 0, 1, 3));
      }));
}

void add_reductions(std::vector<GradientCase>& all) {
  const auto mean = [](Context& ctx, const Vars& v) { return reduce_tokens(ctx, v[0], 2, Reduction::mean); };
  const auto max = [](Context& ctx, const Vars& v) { return reduce_tokens(ctx, v[0], 1, Reduction::max); };
  all.push_back(token_case("reduce_mean", {{3, 5, 7}}, mean,
                           [](const Plains& v) { return plain::mean_tokens<double>(v[0], 2); }));
  all.push_back(
      token_case("reduce_max", {{3, 5, 7}}, max, [](const Plains& v) { return plain::max_tokens<double>(v[0], 1); }));
  GradientCase large = token_case("reduce_mean_large", {{9, 50, 70}}, mean, [](const Plains& v) { return v[0]; });
  GradientCase large_max = token_case("reduce_max_large", {{9, 50, 70}}, max, [](const Plains& v) { return v[0]; });
  large.plain = large_max.plain = nullptr;
  all.push_back(large);
  all.push_back(large_max);
  const std::vector<int64_t> indices = {3, 0, 3, 1, 3, 4};  // some several times, one never
  all.push_back(token_case(
      "embedding", {{5, 7}},
      [indices](Context& ctx, const Vars& v) {
        return embedding(ctx, v[0], Tensor::from(indices, {2, 3}));
      },
      [indices](const Plains& v) { return plain::embedding<double>(v[0], indices); }));
}

std::vector<GradientCase> cases() {
  std::vector<GradientCase> all;
  add_joins(all);
  add_slices(all);
  add_reductions(all);
  return all;
}

VITKIT_GRADIENT_TESTS(TokensGradient, cases());

TEST(ReduceTokens, TheFirstOfEqualMaximaHasTheGradient) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var x = Var::leaf(Tensor::full({1, 3, 2}, 4.0f));
  tape.backward(reduce_tokens(ctx, x, 0, Reduction::max), Tensor::full({1, 2}, 1.0f));
  const std::vector<float> want = {1, 1, 0, 0, 0, 0};
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(x.grad().f32()[i], want[i]);
}

}  // namespace
}  // namespace vit
