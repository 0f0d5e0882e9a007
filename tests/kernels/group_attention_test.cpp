// Attention within groups of tokens against the oracle, values and gradients: ragged sizes, scattered rows, places
// without a query or a key, fillers, biases and masks.
#include <limits>
#include <ostream>

#include "tests/kernels/guarded.h"
#include "vit/kernels/group_kernels.h"

namespace vit::kernels::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Shape {
  int64_t q_rows, kv_rows, qk_dim, v_dim;
};
std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "q " << s.q_rows << " kv " << s.kv_rows << " qk_dim " << s.qk_dim << " v_dim " << s.v_dim;
}

// Windows of 7, 8, 12 and 14, around vectors, panels, tiles and chunks.
const Shape kShapes[] = {{49, 49, 32, 32}, {64, 64, 32, 32},  {144, 144, 32, 32}, {196, 196, 32, 32}, {1, 49, 32, 32},
                         {49, 50, 20, 20}, {16, 16, 24, 24},  {17, 17, 8, 8},     {9, 33, 16, 70},    {7, 66, 5, 3},
                         {3, 1, 1, 1},     {130, 40, 80, 72}, {5, 700, 16, 16},   {6, 2, 40, 8},      {13, 65, 64, 64}};

enum class Places { all, absent, filler };
enum class Added { nothing, bias, bias_and_mask };

/// Inputs of one problem, with the oracle's forward pass.
struct Problem {
  Shape s;
  int64_t tokens;
  Guarded q, k, v, filler_k, filler_v, bias, mask, d_out, out, lse;
  std::vector<int64_t> queries, keys;
  TokenGroup group;

  Problem(const Shape& shape, Places places, Added added)
      : s(shape),
        tokens(s.q_rows + s.kv_rows + 3),
        q(tokens, s.qk_dim, 5),
        k(tokens, s.qk_dim, 3),
        v(tokens, s.v_dim, 7),
        filler_k(s.qk_dim),
        filler_v(s.v_dim),
        bias(1, s.q_rows * s.kv_rows),
        mask(1, s.q_rows * s.kv_rows),
        d_out(tokens, s.v_dim, 2),
        out(tokens, s.v_dim, 1),
        lse(tokens) {
    uint32_t seed = 0;
    for (Guarded* matrix : {&q, &k, &v, &filler_k, &filler_v, &bias, &mask, &d_out}) matrix->randomize(++seed);
    for (int64_t i = 0; i < s.q_rows; ++i)
      queries.push_back(places != Places::all && i % 5 == 3 ? -1 : (i * 7 + 2) % coprime(7));
    for (int64_t j = 0; j < s.kv_rows; ++j)
      keys.push_back(places != Places::all && j % 4 == 0 ? -1 : (j * 3 + 1) % coprime(3));
    for (int64_t i = 0; i < mask.cols(); i += 3) mask.at(0, i) = -kInf;
    for (int64_t j = 0; j < s.kv_rows && s.q_rows > 2; ++j) mask.at(0, 2 * s.kv_rows + j) = -kInf;  // sees nothing
    group = {.q = q.data(),
             .q_stride = q.stride(),
             .k = k.data(),
             .k_stride = k.stride(),
             .v = v.data(),
             .v_stride = v.stride(),
             .queries = queries.data(),
             .keys = keys.data(),
             .filler_k = places == Places::filler ? filler_k.data() : nullptr,
             .filler_v = places == Places::filler ? filler_v.data() : nullptr,
             .bias = added == Added::nothing ? nullptr : bias.data(),
             .mask = added == Added::bias_and_mask ? mask.data() : nullptr,
             .q_rows = s.q_rows,
             .kv_rows = s.kv_rows,
             .qk_dim = s.qk_dim,
             .v_dim = s.v_dim,
             .scale = 1.0f / std::sqrt(static_cast<float>(s.qk_dim))};
    run(oracle(), out, lse);
  }

  /// Steps of `step` through a number of tokens that it does not divide meet every token once.
  int64_t coprime(int64_t step) const { return tokens % step == 0 ? tokens - 1 : tokens; }

  void run(const KernelTable& table, Guarded& to, Guarded& to_lse) const {
    Guarded workspace(1, table.groups->grouped_attention_workspace_size(s.q_rows, s.kv_rows, s.qk_dim, s.v_dim), 0,
                      true);
    table.groups->grouped_attention(
        {.out = to.data(), .out_stride = to.stride(), .lse = to_lse.data(), .group = group, .next = &group},
        workspace.data());
    EXPECT_TRUE(workspace.untouched_outside());
  }

  /// Scores are dot products of qk_dim terms scaled to deviation 1, and averages of values of deviation 1.
  double tolerance() const {
    return 4.0 * dot_tolerance(s.qk_dim, 4.0, 4.0) + dot_tolerance(s.kv_rows, 1.0, 4.0) + rounding_tolerance(4, 8.0);
  }
};

/// Results of one gradient.
struct Gradients {
  Guarded d_q, d_k, d_v, d_filler_k, d_filler_v, d_bias;
  Gradients(const Problem& p, const KernelTable& table, bool accumulate)
      : d_q(p.tokens, p.s.qk_dim, 2),
        d_k(p.tokens, p.s.qk_dim, 1),
        d_v(p.tokens, p.s.v_dim, 3),
        d_filler_k(p.s.qk_dim),
        d_filler_v(p.s.v_dim),
        d_bias(1, p.s.q_rows * p.s.kv_rows) {
    uint32_t seed = 20;  // what is there already
    for (Guarded* matrix : {&d_k, &d_v, &d_filler_k, &d_filler_v, &d_bias}) matrix->randomize(++seed);
    Guarded workspace(
        1, table.groups->grouped_attention_grad_workspace_size(p.s.q_rows, p.s.kv_rows, p.s.qk_dim, p.s.v_dim), 0,
        true);
    table.groups->grouped_attention_grad({.d_q = d_q.data(),
                                          .d_q_stride = d_q.stride(),
                                          .d_k = d_k.data(),
                                          .d_k_stride = d_k.stride(),
                                          .d_v = d_v.data(),
                                          .d_v_stride = d_v.stride(),
                                          .accumulate_kv = accumulate,
                                          .d_filler_k = d_filler_k.data(),
                                          .d_filler_v = d_filler_v.data(),
                                          .d_bias = d_bias.data(),
                                          .d_out = p.d_out.data(),
                                          .d_out_stride = p.d_out.stride(),
                                          .out = p.out.data(),
                                          .out_stride = p.out.stride(),
                                          .lse = p.lse.data(),
                                          .group = p.group},
                                         workspace.data());
    EXPECT_TRUE(workspace.untouched_outside());
  }
};

class GroupAttentionTest : public KernelTest {
 protected:
  template <class Body>
  static void for_all_problems(const Body& body) {
    for (const Shape& s : kShapes)
      for (const Places places : {Places::all, Places::absent, Places::filler})
        for (const Added added : {Added::nothing, Added::bias, Added::bias_and_mask}) {
          SCOPED_TRACE(testing::Message()
                       << s << " places " << static_cast<int>(places) << " added " << static_cast<int>(added));
          body(Problem(s, places, added));
        }
  }
};
VITKIT_TEST_EVERY_ISA(GroupAttentionTest);

TEST_P(GroupAttentionTest, MatchesOracle) {
  for_all_problems([&](const Problem& p) {
    Guarded out(p.tokens, p.s.v_dim, 1), lse(p.tokens);
    p.run(table(), out, lse);
    expect_near(out, p.out, [&](int64_t, int64_t) { return p.tolerance(); });
    expect_near(lse, p.lse, [&](int64_t, int64_t) { return p.tolerance() + rounding_tolerance(4, 10.0); });
  });
}

TEST_P(GroupAttentionTest, GradientsMatchOracle) {
  for_all_problems([&](const Problem& p) {
    for (const bool accumulate : {false, true}) {
      const Gradients got(p, table(), accumulate), expected(p, oracle(), accumulate);
      // d_s is a difference of sums over v_dim terms of deviation 1; d_k and d_v sum it over the queries.
      const double each = 8.0 * p.tolerance() * std::sqrt(static_cast<double>(p.s.v_dim));
      const double rows = std::sqrt(static_cast<double>(p.s.q_rows + p.s.kv_rows));
      const auto near = [&](const Guarded& a, const Guarded& b) {
        expect_near(a, b, [&](int64_t, int64_t) { return each * rows; });
      };
      near(got.d_q, expected.d_q);
      near(got.d_k, expected.d_k);
      near(got.d_v, expected.d_v);
      near(got.d_filler_k, expected.d_filler_k);
      near(got.d_filler_v, expected.d_filler_v);
      near(got.d_bias, expected.d_bias);
    }
  });
}

TEST_P(GroupAttentionTest, NanQueryHurtsOnlyItself) {
  Problem p({12, 49, 16, 16}, Places::all, Added::bias);
  p.q.at(p.queries[4], 3) = NAN;
  Guarded out(p.tokens, p.s.v_dim), lse(p.tokens);
  p.run(table(), out, lse);
  for (size_t i = 0; i < p.queries.size(); ++i) EXPECT_EQ(std::isnan(out.at(p.queries[i], 0)), i == 4);
}

TEST_P(GroupAttentionTest, LargeScoresDoNotOverflow) {
  Problem p({10, 50, 16, 16}, Places::all, Added::nothing);
  p.q.randomize(5, 1000.0f);
  Guarded expected(p.tokens, p.s.v_dim), out(p.tokens, p.s.v_dim), lse(p.tokens);
  p.run(oracle(), expected, lse);
  p.run(table(), out, lse);
  for (const int64_t query : p.queries) {
    const double tolerance = 4.0 * dot_tolerance(p.s.qk_dim, norm(p.q.row(query), p.s.qk_dim), 4.0);
    for (int64_t d = 0; d < p.s.v_dim; ++d) ASSERT_NEAR(out.at(query, d), expected.at(query, d), tolerance);
  }
}

}  // namespace
}  // namespace vit::kernels::test
