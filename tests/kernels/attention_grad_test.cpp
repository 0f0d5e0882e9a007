// Gradients of attention against the oracle: ragged sizes, cross attention, biases and masks, shared keys, packed qkv.
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

// Around tiles, panels, chunks of queries and blocks of keys.
const Shape kShapes[] = {{1, 1, 8, 8},       {5, 49, 32, 32},   {7, 64, 64, 64},    {65, 65, 64, 64},
                         {197, 197, 64, 64}, {200, 30, 24, 24}, {10, 260, 16, 16},  {3, 530, 64, 64},
                         {1, 300, 80, 80},   {33, 17, 1, 1},    {6, 100, 130, 200}, {4, 20, 40, 72},
                         {9, 31, 48, 5},     {0, 10, 8, 8},     {5, 0, 8, 8},       {400, 129, 8, 20}};

enum class Bias { none, full, one_row, masked };

/// Inputs of one problem, with the oracle's forward pass.
struct Problem {
  Shape s;
  Bias kind;
  float scale;
  Guarded q, k, v, bias, d_out, out, lse;

  explicit Problem(const Shape& shape, Bias bias_kind = Bias::none)
      : s(shape),
        kind(bias_kind),
        scale(1.0f / std::sqrt(static_cast<float>(s.qk_dim))),
        q(s.q_rows, s.qk_dim, 5),
        k(s.kv_rows, s.qk_dim, 3),
        v(s.kv_rows, s.v_dim, 7),
        bias(kind == Bias::one_row ? 1 : s.q_rows, s.kv_rows, 1),
        d_out(s.q_rows, s.v_dim, 2),
        out(s.q_rows, s.v_dim, 1),
        lse(s.q_rows) {
    q.randomize(1);
    k.randomize(2);
    v.randomize(3);
    bias.randomize(4);
    d_out.randomize(5);
    if (kind == Bias::masked)  // whole rows too
      for (int64_t i = 0; i < s.q_rows; ++i)
        for (int64_t j = 0; j < s.kv_rows; ++j)
          if ((i * 7 + j * 3) % 5 == 0 || i % 6 == 5) bias.at(i, j) = -kInf;
    forward();
  }
  int64_t bias_stride() const { return kind == Bias::one_row ? 0 : bias.stride(); }

  void forward() {
    std::vector<float> packed(static_cast<std::size_t>(oracle().attention_packed_size(s.kv_rows, s.qk_dim, s.v_dim)));
    Guarded workspace(1, oracle().attention_workspace_size(s.qk_dim, s.v_dim), 0, true);
    oracle().attention_pack(packed.data(), k.data(), k.stride(), v.data(), v.stride(), s.kv_rows, s.qk_dim, s.v_dim, 0,
                            s.kv_rows);
    AttentionArgs args;
    args.out = out.data();
    args.out_stride = out.stride();
    args.lse = lse.data();
    args.q = q.data();
    args.q_stride = q.stride();
    args.packed_kv = packed.data();
    args.bias = kind == Bias::none ? nullptr : bias.data();
    args.bias_stride = bias_stride();
    args.kv_rows = s.kv_rows;
    args.qk_dim = s.qk_dim;
    args.v_dim = s.v_dim;
    args.scale = scale;
    oracle().attention_rows(args, workspace.data(), 0, s.q_rows);
  }
};

struct Gradients {
  Guarded d_q, d_k, d_v, d_bias;
  explicit Gradients(const Problem& p)
      : d_q(p.s.q_rows, p.s.qk_dim, 3),
        d_k(p.s.kv_rows, p.s.qk_dim, 2),
        d_v(p.s.kv_rows, p.s.v_dim, 1),
        d_bias(p.bias.rows(), p.bias.cols(), 4) {
    d_q.randomize(11);
    d_k.randomize(12);
    d_v.randomize(13);
    d_bias.randomize(14);
  }
};

void run(const KernelTable& table, const Problem& p, Gradients& g, bool accumulate = false,
         const AttentionGradArgs* next = nullptr) {
  Guarded workspace(1, table.attention_grad_workspace_size(p.s.q_rows, p.s.kv_rows, p.s.qk_dim, p.s.v_dim), 0, true);
  AttentionGradArgs args;
  args.d_q = g.d_q.data();
  args.d_q_stride = g.d_q.stride();
  args.d_k = g.d_k.data();
  args.d_k_stride = g.d_k.stride();
  args.d_v = g.d_v.data();
  args.d_v_stride = g.d_v.stride();
  args.accumulate_kv = accumulate;
  if (p.kind != Bias::none) {
    args.bias = p.bias.data();
    args.bias_stride = p.bias_stride();
    args.d_bias = g.d_bias.data();
    args.d_bias_stride = p.kind == Bias::one_row ? 0 : g.d_bias.stride();
  }
  args.d_out = p.d_out.data();
  args.d_out_stride = p.d_out.stride();
  args.out = p.out.data();
  args.out_stride = p.out.stride();
  args.lse = p.lse.data();
  args.q = p.q.data();
  args.q_stride = p.q.stride();
  args.k = p.k.data();
  args.k_stride = p.k.stride();
  args.v = p.v.data();
  args.v_stride = p.v.stride();
  args.q_rows = p.s.q_rows;
  args.kv_rows = p.s.kv_rows;
  args.qk_dim = p.s.qk_dim;
  args.v_dim = p.s.v_dim;
  args.scale = p.scale;
  args.next = next;
  table.attention_grad(args, workspace.data());
  EXPECT_TRUE(workspace.untouched_outside());
}

/// |got - expected| / |expected| over whole matrices.
double distance(const Guarded& got, const Guarded& expected) {
  double difference = 0.0, square = 0.0;
  for (int64_t i = 0; i < got.rows(); ++i)
    for (int64_t j = 0; j < got.cols(); ++j) {
      const double d = static_cast<double>(got.at(i, j)) - expected.at(i, j);
      difference += d * d;
      square += static_cast<double>(expected.at(i, j)) * expected.at(i, j);
    }
  return difference == 0.0 ? 0.0 : std::sqrt(difference / square);
}

/// Errors of scores are relative errors of p; d_p and delta are dot products of v_dim terms of deviation 1. Both meet
/// in d_s <= p * |d_p|, which is summed over queries or keys against vectors of deviation 1.
void expect_close(const Problem& p, const Gradients& got, const Gradients& expected) {
  const Shape& s = p.s;
  const double d_p = 4.0 * std::sqrt(static_cast<double>(s.v_dim)) + 4.0;
  const double p_error = 8.0 * dot_tolerance(s.qk_dim, 4.0, 4.0) + rounding_tolerance(4, 10.0);
  const double d_s_error = p_error * d_p + dot_tolerance(s.v_dim, 4.0, d_p);
  // Columns of p sum to q_rows / kv_rows on average, at most to q_rows; their squares to less.
  const double column = 1.0 + 4.0 * std::sqrt(static_cast<double>(s.q_rows)) *
                                  std::min(1.0, 8.0 / std::sqrt(static_cast<double>(s.kv_rows) + 1.0));
  expect_near(got.d_q, expected.d_q, [&](int64_t, int64_t) { return 4.0 * d_s_error; });
  expect_near(got.d_k, expected.d_k, [&](int64_t, int64_t) { return 4.0 * d_s_error * column; });
  expect_near(got.d_v, expected.d_v, [&](int64_t, int64_t) { return 4.0 * p_error * column; });
  expect_near(got.d_bias, expected.d_bias,
              [&](int64_t, int64_t) { return d_s_error * (p.kind == Bias::one_row ? column : 1.0); });
  // The bounds above are for the worst element; as a whole errors are small. With few keys d_p - delta cancels.
  if (s.kv_rows < 16 || s.v_dim == 1) return;
  EXPECT_LE(distance(got.d_q, expected.d_q), 64.0 * vit::test::kEps);
  EXPECT_LE(distance(got.d_k, expected.d_k), 64.0 * vit::test::kEps);
  EXPECT_LE(distance(got.d_v, expected.d_v), 64.0 * vit::test::kEps);
}

class AttentionGradTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(AttentionGradTest);

TEST_P(AttentionGradTest, MatchesOracleOnRaggedShapes) {
  for (const Shape& s : kShapes)
    for (bool accumulate : {false, true}) {
      SCOPED_TRACE(s);
      const Problem p(s);
      Gradients got(p), expected(p);
      run(table(), p, got, accumulate);
      run(oracle(), p, expected, accumulate);
      expect_close(p, got, expected);
    }
}

TEST_P(AttentionGradTest, BiasAndMasksMatchOracle) {
  for (const Shape& s : kShapes)
    for (Bias kind : {Bias::full, Bias::one_row, Bias::masked}) {
      SCOPED_TRACE(testing::Message() << s << " bias " << static_cast<int>(kind));
      const Problem p(s, kind);
      Gradients got(p), expected(p);
      run(table(), p, got);
      run(oracle(), p, expected);
      expect_close(p, got, expected);
      for (int64_t i = 5; kind == Bias::masked && i < s.q_rows; i += 6)
        for (int64_t d = 0; d < s.qk_dim; ++d) ASSERT_EQ(got.d_q.at(i, d), 0.0f) << "a fully masked query";
    }
}

TEST_P(AttentionGradTest, FetchingTheNextChangesNothing) {
  for (const Shape& s : kShapes) {
    SCOPED_TRACE(s);
    const Problem p(s), other({300, 70, 48, 80});
    Gradients got(p), expected(p);
    AttentionGradArgs next;  // the operands alone: outputs are fetched in their own turn
    next.q = other.q.data();
    next.k = other.k.data();
    next.v = other.v.data();
    next.d_out = other.d_out.data();
    next.out = other.out.data();
    next.q_stride = other.q.stride();
    next.k_stride = other.k.stride();
    next.v_stride = other.v.stride();
    next.d_out_stride = other.d_out.stride();
    next.out_stride = other.out.stride();
    next.q_rows = 300;
    next.kv_rows = 70;
    next.qk_dim = 48;
    next.v_dim = 80;
    run(table(), p, got, false, &next);
    run(table(), p, expected);
    expect_near(got.d_q, expected.d_q, [](int64_t, int64_t) { return 0.0; });
    expect_near(got.d_k, expected.d_k, [](int64_t, int64_t) { return 0.0; });
    expect_near(got.d_v, expected.d_v, [](int64_t, int64_t) { return 0.0; });
  }
}

TEST_P(AttentionGradTest, PeakedScoresStayFinite) {
  Problem p({70, 150, 16, 16});
  p.q.randomize(6, 300.0f);
  p.forward();
  Gradients got(p), expected(p);
  run(table(), p, got);
  run(oracle(), p, expected);
  // Scores of 1000 carry errors of 1e-4, relative errors of p; p itself is nearly one-hot.
  const double error = 4.0 * dot_tolerance(16, 1200.0, 4.0) * 0.25 * 20.0 + 1e-4;
  for (int64_t j = 0; j < p.s.kv_rows; ++j)
    for (int64_t d = 0; d < 16; ++d) ASSERT_NEAR(got.d_v.at(j, d), expected.d_v.at(j, d), error * 4.0);
  for (int64_t i = 0; i < p.s.q_rows; ++i)
    for (int64_t d = 0; d < 16; ++d) ASSERT_NEAR(got.d_q.at(i, d), expected.d_q.at(i, d), error * 4.0);
}

TEST_P(AttentionGradTest, ReadsAndWritesPackedQkvInPlace) {
  const int64_t tokens = 50, heads = 3, dim = 32, width = heads * dim;
  Guarded qkv(tokens, 3 * width), d_qkv(tokens, 3 * width, 1), d_out(tokens, width), out(tokens, width);
  qkv.randomize(6);
  d_out.randomize(7);
  for (int64_t h = 0; h < heads; ++h) {
    Problem p({tokens, tokens, dim, dim});
    for (int64_t i = 0; i < tokens; ++i) {
      std::copy_n(qkv.row(i) + h * dim, dim, p.q.row(i));
      std::copy_n(qkv.row(i) + width + h * dim, dim, p.k.row(i));
      std::copy_n(qkv.row(i) + 2 * width + h * dim, dim, p.v.row(i));
      std::copy_n(d_out.row(i) + h * dim, dim, p.d_out.row(i));
    }
    p.forward();
    Gradients expected(p);
    run(table(), p, expected);
    for (int64_t i = 0; i < tokens; ++i) std::copy_n(p.out.row(i), dim, out.row(i) + h * dim);
    Guarded workspace(1, table().attention_grad_workspace_size(tokens, tokens, dim, dim), 0, true);
    AttentionGradArgs args;
    const float* q = qkv.data() + h * dim;
    float* d_q = d_qkv.data() + h * dim;
    args.d_q = d_q;
    args.d_k = d_q + width;
    args.d_v = d_q + 2 * width;
    args.d_q_stride = args.d_k_stride = args.d_v_stride = d_qkv.stride();
    args.d_out = d_out.data() + h * dim;
    args.out = out.data() + h * dim;
    args.d_out_stride = args.out_stride = width;
    args.lse = p.lse.data();
    args.q = q;
    args.k = q + width;
    args.v = q + 2 * width;
    args.q_stride = args.k_stride = args.v_stride = qkv.stride();
    args.q_rows = args.kv_rows = tokens;
    args.qk_dim = args.v_dim = dim;
    args.scale = p.scale;
    table().attention_grad(args, workspace.data());
    for (int64_t i = 0; i < tokens; ++i)
      for (int64_t d = 0; d < dim; ++d) {
        ASSERT_EQ(d_qkv.at(i, h * dim + d), expected.d_q.at(i, d));
        ASSERT_EQ(d_qkv.at(i, width + h * dim + d), expected.d_k.at(i, d));
        ASSERT_EQ(d_qkv.at(i, 2 * width + h * dim + d), expected.d_v.at(i, d));
      }
  }
  EXPECT_TRUE(d_qkv.untouched_outside());
}

TEST_P(AttentionGradTest, NanOfAQueryReachesItsRowAndTheKeys) {
  Problem p({20, 40, 16, 16});
  p.d_out.at(3, 2) = NAN;
  Gradients g(p);
  run(table(), p, g);
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(std::isnan(g.d_q.at(i, 0)), i == 3);
  for (int64_t j = 0; j < 40; ++j) {
    EXPECT_TRUE(std::isnan(g.d_k.at(j, 0)));
    EXPECT_TRUE(std::isnan(g.d_v.at(j, 2)));
    EXPECT_FALSE(std::isnan(g.d_v.at(j, 1)));
  }
}

}  // namespace
}  // namespace vit::kernels::test
