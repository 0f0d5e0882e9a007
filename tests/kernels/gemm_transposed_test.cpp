// The gradient of a weight, c = a^T b, on every instruction set: ragged sizes, strides, parts, accumulation.
#include <ostream>

#include "tests/kernels/guarded.h"

namespace vit::kernels::test {
namespace {

struct Problem {
  int64_t m, n, k;
};
std::ostream& operator<<(std::ostream& out, const Problem& p) { return out << p.m << " x " << p.n << " x " << p.k; }

// Around tile heights, vector and panel widths and blocks of k.
const Problem kProblems[] = {{1, 1, 1},      {2, 3, 5},     {6, 64, 256},  {7, 65, 257},  {12, 128, 64}, {13, 130, 70},
                             {3, 15, 1},     {31, 63, 512}, {11, 33, 600}, {5, 31, 1030}, {24, 8, 3},    {192, 48, 9},
                             {100, 200, 31}, {0, 5, 5},     {5, 0, 5},     {5, 7, 0}};

struct Operands {
  Guarded a, b;
  explicit Operands(const Problem& p) : a(p.k, p.m, 3), b(p.k, p.n, 2) {
    a.randomize(1);
    b.randomize(2);
  }
};

void run(const KernelTable& table, const Problem& p, const Operands& in, Guarded& c, bool accumulate,
         const std::vector<GemmPart>& parts) {
  GemmTransposedArgs args;
  args.c = c.data();
  args.c_stride = c.stride();
  args.a = in.a.data();
  args.a_stride = in.a.stride();
  args.b = in.b.data();
  args.b_stride = in.b.stride();
  args.n = p.n;
  args.k = p.k;
  args.accumulate = accumulate;
  for (const GemmPart& part : parts) table.gemm_transposed(args, part);
}

std::vector<GemmPart> whole(const KernelTable& table, const Problem& p) {
  return {{0, p.m, 0, panel_count(table, p.n)}};
}

class GemmTransposedTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(GemmTransposedTest);

TEST_P(GemmTransposedTest, MatchesOracleOnRaggedShapes) {
  for (const Problem& p : kProblems)
    for (bool accumulate : {false, true}) {
      SCOPED_TRACE(testing::Message() << p << (accumulate ? " added" : ""));
      const Operands in(p);
      Guarded c(p.m, p.n, 4), expected(p.m, p.n, 1);
      c.randomize(3);
      expected.copy_from(c);
      run(table(), p, in, c, accumulate, whole(table(), p));
      run(oracle(), p, in, expected, accumulate, whole(oracle(), p));
      expect_near(c, expected, [&](int64_t i, int64_t j) {
        return dot_tolerance(p.k + 1, norm(in.a.data() + i, p.k, in.a.stride()) + 2.0,
                             norm(in.b.data() + j, p.k, in.b.stride()) + 2.0);
      });
    }
}

TEST_P(GemmTransposedTest, BitsDoNotDependOnTheParts) {
  const Problem p{77, 200, 700};
  const Operands in(p);
  Guarded c(p.m, p.n), expected(p.m, p.n);
  run(table(), p, in, expected, false, whole(table(), p));
  const int64_t panels = panel_count(table(), p.n);
  run(table(), p, in, c, false, {{0, 1, 0, panels}, {1, 50, 0, 1}, {1, 50, 1, panels}, {50, 77, 0, panels}});
  expect_near(c, expected, [](int64_t, int64_t) { return 0.0; });
}

TEST_P(GemmTransposedTest, GridPartsCoverEverything) {
  const Problem p{50, 150, 40};
  const Operands in(p);
  Guarded c(p.m, p.n), expected(p.m, p.n);
  run(table(), p, in, expected, false, whole(table(), p));
  const GemmGrid grid = gemm_grid(table(), p.m, p.n, p.k, 4);
  std::vector<GemmPart> parts;
  for (int64_t i = 0; i < grid.parts(); ++i) parts.push_back(gemm_part(table(), grid, p.m, p.n, i));
  run(table(), p, in, c, false, parts);
  expect_near(c, expected, [](int64_t, int64_t) { return 0.0; });
}

TEST_P(GemmTransposedTest, NanStaysInItsRowAndColumn) {
  const Problem p{20, 70, 300};
  Operands in(p);
  Guarded c(p.m, p.n);
  in.a.at(270, 7) = NAN;
  in.b.at(3, 66) = NAN;
  run(table(), p, in, c, false, whole(table(), p));
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) ASSERT_EQ(std::isnan(c.at(i, j)), i == 7 || j == 66) << i << ", " << j;
}

}  // namespace
}  // namespace vit::kernels::test
