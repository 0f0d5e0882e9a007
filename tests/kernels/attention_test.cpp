// Tiled attention against the definition: ragged sizes, cross attention, masks, parts, packed qkv, log-sum-exp.
#include <limits>
#include <ostream>

#include "tests/kernels/guarded.h"

namespace vit::kernels::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Shape {
  int64_t q_rows, kv_rows, qk_dim, v_dim;
};
std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "q " << s.q_rows << " kv " << s.kv_rows << " qk_dim " << s.qk_dim << " v_dim " << s.v_dim;
}

// Around tiles, panels, query chunks of 96 and key blocks of 512.
const Shape kShapes[] = {{1, 1, 8, 8},       {5, 49, 32, 32},  {7, 64, 64, 64},    {13, 65, 64, 64},
                         {197, 197, 64, 64}, {97, 30, 24, 24}, {10, 513, 16, 16},  {3, 1030, 64, 64},
                         {1, 700, 80, 80},   {33, 17, 1, 1},   {6, 100, 256, 256}, {4, 20, 40, 72},
                         {9, 31, 48, 5},     {0, 10, 8, 8},    {193, 1100, 8, 20}};

struct Operands {
  Guarded q, k, v;
  explicit Operands(const Shape& s) : q(s.q_rows, s.qk_dim, 5), k(s.kv_rows, s.qk_dim, 3), v(s.kv_rows, s.v_dim, 7) {
    q.randomize(1);
    k.randomize(2);
    v.randomize(3);
  }
};

struct Options {
  const Guarded* bias = nullptr;
  int64_t bias_stride = 0;
  std::vector<std::pair<int64_t, int64_t>> parts;  ///< empty: all queries at once
};

void run(const KernelTable& table, const Shape& s, const Operands& in, const Options& options, Guarded& out,
         Guarded& lse) {
  Guarded packed(1, table.attention_packed_size(s.kv_rows, s.qk_dim, s.v_dim), 0, true);
  Guarded workspace(1, table.attention_workspace_size(s.qk_dim, s.v_dim), 0, true);
  const int64_t cut = s.kv_rows / 2 / table.panel_width * table.panel_width;
  const auto pack = [&](int64_t j0, int64_t j1) {
    table.attention_pack(packed.data(), in.k.data(), in.k.stride(), in.v.data(), in.v.stride(), s.kv_rows, s.qk_dim,
                         s.v_dim, j0, j1);
  };
  pack(cut, s.kv_rows);
  pack(0, cut);
  AttentionArgs args;
  args.out = out.data();
  args.out_stride = out.stride();
  args.lse = lse.data();
  args.q = in.q.data();
  args.q_stride = in.q.stride();
  args.packed_kv = packed.data();
  args.bias = options.bias ? options.bias->data() : nullptr;
  args.bias_stride = options.bias_stride;
  args.kv_rows = s.kv_rows;
  args.qk_dim = s.qk_dim;
  args.v_dim = s.v_dim;
  args.scale = 1.0f / std::sqrt(static_cast<float>(s.qk_dim));
  if (options.parts.empty()) table.attention_rows(args, workspace.data(), 0, s.q_rows);
  for (const auto& [q0, q1] : options.parts) table.attention_rows(args, workspace.data(), q0, q1);
  EXPECT_TRUE(packed.untouched_outside());
  EXPECT_TRUE(workspace.untouched_outside());
}

/// Scores are dot products of qk_dim terms scaled to deviation 1; an error of a score is a relative error of its
/// probability, and probabilities average values of deviation 1.
double out_tolerance(const Shape& s) {
  return 4.0 * dot_tolerance(s.qk_dim, 4.0, 4.0) + dot_tolerance(s.kv_rows, 1.0, 4.0);
}

class AttentionTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(AttentionTest);

TEST_P(AttentionTest, MatchesOracleOnRaggedShapes) {
  for (const Shape& s : kShapes) {
    SCOPED_TRACE(s);
    const Operands in(s);
    Guarded out(s.q_rows, s.v_dim, 2), lse(s.q_rows), expected(s.q_rows, s.v_dim, 2), expected_lse(s.q_rows);
    run(table(), s, in, {}, out, lse);
    run(oracle(), s, in, {}, expected, expected_lse);
    expect_near(out, expected, [&](int64_t, int64_t) { return out_tolerance(s); });
    expect_near(lse, expected_lse, [&](int64_t, int64_t) { return out_tolerance(s) + rounding_tolerance(4, 10.0); });
  }
}

TEST_P(AttentionTest, BiasAndMasksMatchOracle) {
  for (const Shape& s : kShapes) {
    SCOPED_TRACE(s);
    const Operands in(s);
    Guarded bias(s.q_rows, s.kv_rows, 1);
    bias.randomize(4);
    for (int64_t i = 0; i < s.q_rows; ++i)
      for (int64_t j = 0; j < s.kv_rows; ++j)
        if ((i * 7 + j * 3) % 5 == 0 || j > i + 600 || i % 6 == 5) bias.at(i, j) = -kInf;  // whole rows and blocks too
    Guarded out(s.q_rows, s.v_dim), lse(s.q_rows), expected(s.q_rows, s.v_dim), expected_lse(s.q_rows);
    run(table(), s, in, {&bias, bias.stride(), {}}, out, lse);
    run(oracle(), s, in, {&bias, bias.stride(), {}}, expected, expected_lse);
    expect_near(out, expected, [&](int64_t, int64_t) { return out_tolerance(s); });
    expect_near(lse, expected_lse, [&](int64_t, int64_t) { return out_tolerance(s) + rounding_tolerance(4, 10.0); });
    for (int64_t i = 5; i < s.q_rows; i += 6) EXPECT_EQ(out.at(i, 0), 0.0f) << "a fully masked query";
  }
}

TEST_P(AttentionTest, FirstBlocksMaskedAwayLeaveNoTrace) {
  const Shape s{9, 1300, 16, 16};
  const Operands in(s);
  Guarded bias(1, s.kv_rows);
  for (int64_t j = 0; j < 1100; ++j) bias.at(0, j) = -kInf;
  Guarded out(s.q_rows, s.v_dim), lse(s.q_rows), expected(s.q_rows, s.v_dim), expected_lse(s.q_rows);
  run(table(), s, in, {&bias, 0, {}}, out, lse);
  run(oracle(), s, in, {&bias, 0, {}}, expected, expected_lse);
  expect_near(out, expected, [&](int64_t, int64_t) { return out_tolerance(s); });
  expect_near(lse, expected_lse, [&](int64_t, int64_t) { return out_tolerance(s) + rounding_tolerance(4, 10.0); });
}

TEST_P(AttentionTest, LargeScoresDoNotOverflow) {
  const Shape s{8, 600, 16, 16};
  Operands in(s);
  in.q.randomize(5, 1000.0f);
  Guarded out(s.q_rows, s.v_dim), lse(s.q_rows), expected(s.q_rows, s.v_dim), expected_lse(s.q_rows);
  run(table(), s, in, {}, out, lse);
  run(oracle(), s, in, {}, expected, expected_lse);
  for (int64_t i = 0; i < s.q_rows; ++i) {
    // A score's absolute error, and so its probability's relative one, grows with the norm of q.
    const double tolerance = 4.0 * dot_tolerance(s.qk_dim, norm(in.q.row(i), s.qk_dim), 4.0);
    for (int64_t d = 0; d < s.v_dim; ++d) ASSERT_NEAR(out.at(i, d), expected.at(i, d), tolerance);
  }
}

TEST_P(AttentionTest, BitsDoNotDependOnTheParts) {
  const Shape s{205, 1100, 40, 40};
  const Operands in(s);
  Guarded out(s.q_rows, s.v_dim), lse(s.q_rows), expected(s.q_rows, s.v_dim), expected_lse(s.q_rows);
  run(table(), s, in, {}, expected, expected_lse);
  run(table(), s, in, {nullptr, 0, {{100, 205}, {0, 1}, {1, 8}, {8, 100}}}, out, lse);
  expect_near(out, expected, [](int64_t, int64_t) { return 0.0; });
  expect_near(lse, expected_lse, [](int64_t, int64_t) { return 0.0; });
}

TEST_P(AttentionTest, ReadsPackedQkvInPlace) {
  const int64_t tokens = 50, heads = 3, dim = 32, width = heads * dim;
  Guarded qkv(tokens, 3 * width), out(tokens, width);
  qkv.randomize(6);
  for (int64_t h = 0; h < heads; ++h) {
    const float* q = qkv.data() + h * dim;
    Guarded packed(1, table().attention_packed_size(tokens, dim, dim), 0, true);
    Guarded workspace(1, table().attention_workspace_size(dim, dim), 0, true);
    table().attention_pack(packed.data(), q + width, qkv.stride(), q + 2 * width, qkv.stride(), tokens, dim, dim, 0,
                           tokens);
    AttentionArgs args;
    args.out = out.data() + h * dim;
    args.out_stride = out.stride();
    args.q = q;
    args.q_stride = qkv.stride();
    args.packed_kv = packed.data();
    args.kv_rows = tokens;
    args.qk_dim = args.v_dim = dim;
    args.scale = 0.2f;
    table().attention_rows(args, workspace.data(), 0, tokens);
    Guarded probabilities(tokens, tokens, 1);
    AttentionScoresArgs scores;
    scores.probabilities = probabilities.data();
    scores.probabilities_stride = probabilities.stride();
    scores.q = q;
    scores.q_stride = qkv.stride();
    scores.k = q + width;
    scores.k_stride = qkv.stride();
    scores.kv_rows = tokens;
    scores.qk_dim = dim;
    scores.scale = 0.2f;
    table().attention_scores(scores, 0, tokens);
    EXPECT_TRUE(probabilities.untouched_outside());
    for (int64_t i = 0; i < tokens; ++i)
      for (int64_t d = 0; d < dim; ++d) {
        double sum = 0.0;
        for (int64_t j = 0; j < tokens; ++j)
          sum += static_cast<double>(probabilities.at(i, j)) * qkv.at(j, 2 * width + h * dim + d);
        ASSERT_NEAR(out.at(i, h * dim + d), sum, out_tolerance({tokens, tokens, dim, dim}));
      }
  }
  EXPECT_TRUE(out.untouched_outside());
}

TEST_P(AttentionTest, ScoresMatchOracle) {
  for (const Shape& s : kShapes) {
    SCOPED_TRACE(s);
    const Operands in(s);
    Guarded bias(s.q_rows, s.kv_rows, 2), got(s.q_rows, s.kv_rows, 1), expected(s.q_rows, s.kv_rows, 1);
    bias.randomize(4);
    if (s.q_rows > 2)
      for (int64_t j = 0; j < s.kv_rows; ++j) bias.at(2, j) = -kInf;
    const auto scores = [&](const KernelTable& table, Guarded& p) {
      AttentionScoresArgs args;
      args.probabilities = p.data();
      args.probabilities_stride = p.stride();
      args.q = in.q.data();
      args.q_stride = in.q.stride();
      args.k = in.k.data();
      args.k_stride = in.k.stride();
      args.bias = bias.data();
      args.bias_stride = bias.stride();
      args.kv_rows = s.kv_rows;
      args.qk_dim = s.qk_dim;
      args.scale = 0.3f;
      table.attention_scores(args, 0, s.q_rows);
    };
    scores(table(), got);
    scores(oracle(), expected);
    expect_near(got, expected, [&](int64_t i, int64_t j) {
      return expected.at(i, j) *
                 (0.3 * dot_tolerance(s.qk_dim, norm(in.q.row(i), s.qk_dim), norm(in.k.row(j), s.qk_dim)) * 4.0 +
                  rounding_tolerance(s.kv_rows, 4.0)) +
             1e-37;
    });
  }
}

TEST_P(AttentionTest, NoKeysGiveZeros) {
  const Shape s{3, 0, 8, 8};
  const Operands in(s);
  Guarded out(s.q_rows, s.v_dim), lse(s.q_rows);
  out.randomize(1);
  run(table(), s, in, {}, out, lse);
  for (int64_t i = 0; i < s.q_rows; ++i) {
    EXPECT_EQ(lse.at(0, i), -kInf);
    for (int64_t d = 0; d < s.v_dim; ++d) EXPECT_EQ(out.at(i, d), 0.0f);
  }
}

TEST_P(AttentionTest, NanQueryHurtsOnlyItself) {
  const Shape s{12, 70, 16, 16};
  Operands in(s);
  in.q.at(4, 3) = NAN;
  Guarded out(s.q_rows, s.v_dim), lse(s.q_rows);
  run(table(), s, in, {}, out, lse);
  for (int64_t i = 0; i < s.q_rows; ++i) EXPECT_EQ(std::isnan(out.at(i, 0)), i == 4);
}

}  // namespace
}  // namespace vit::kernels::test
