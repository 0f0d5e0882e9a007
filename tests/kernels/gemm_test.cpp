// Packed products on every instruction set: ragged sizes, epilogues, strides, parts, and the convolutions on top of
// them.
#include <memory>
#include <ostream>

#include "tests/kernels/guarded.h"
#include "vit/kernels/conv_offsets.h"

namespace vit::kernels::test {
namespace {

struct Problem {
  int64_t m, n, k;
};

std::ostream& operator<<(std::ostream& out, const Problem& p) { return out << p.m << " x " << p.n << " x " << p.k; }

// Around every tile height, vector width and panel width of every set.
const Problem kProblems[] = {{1, 1, 1},     {2, 3, 5},     {5, 17, 4},    {6, 64, 16}, {7, 65, 33},
                             {12, 128, 64}, {13, 130, 70}, {3, 15, 1},    {4, 16, 7},  {197, 48, 9},
                             {1, 200, 31},  {31, 63, 2},   {11, 33, 257}, {24, 8, 8},  {5, 31, 12},
                             {400, 20, 3},  {530, 9, 5},   {0, 5, 5},     {5, 7, 0}};

/// A product's operands. Weights as a torch Linear has them, [n, k].
struct Operands {
  Guarded a, weight, bias, gamma, residual;
  explicit Operands(const Problem& p)
      : a(p.m, p.k, 3), weight(p.n, p.k, 2), bias(1, p.n), gamma(1, p.n), residual(p.m, p.n, 5) {
    a.randomize(1);
    weight.randomize(2);
    bias.randomize(3);
    gamma.randomize(4);
    residual.randomize(5);
  }
};

/// Packs with `table` and multiplies part by part.
void run(const KernelTable& table, const Problem& p, const Operands& in, Guarded& c, const Epilogue& epilogue,
         const std::vector<GemmPart>& parts) {
  Guarded packed(1, packed_size(table, p.n, p.k), 0, true);
  table.pack_b(packed.data(), in.weight.data(), in.weight.stride(), 1, p.n, p.k, 0, panel_count(table, p.n));
  ASSERT_TRUE(packed.untouched_outside());
  GemmArgs args;
  args.c = c.data();
  args.c_stride = c.stride();
  args.a = in.a.data();
  args.a_stride = in.a.stride();
  args.b = packed.data();
  args.n = p.n;
  args.k = p.k;
  args.epilogue = epilogue;
  for (const GemmPart& part : parts) table.gemm(args, part);
}

std::vector<GemmPart> whole(const KernelTable& table, const Problem& p) {
  return {{0, p.m, 0, panel_count(table, p.n)}};
}

/// Error of one element: the dot product's, carried through an activation (slope at most 1.13) and the gamma.
double element_tolerance(const Operands& in, const Problem& p, int64_t i, int64_t j, double gamma) {
  return 1.2 * gamma * dot_tolerance(p.k, norm(in.a.row(i), p.k), norm(in.weight.row(j), p.k)) +
         rounding_tolerance(8, 8.0 * (1.0 + gamma));
}

class GemmTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(GemmTest);

TEST_P(GemmTest, PlainProductMatchesOracleOnRaggedSizes) {
  for (const Problem& p : kProblems) {
    SCOPED_TRACE(p);
    const Operands in(p);
    Guarded got(p.m, p.n, 1), expected(p.m, p.n, 1);
    run(table(), p, in, got, {}, whole(table(), p));
    run(oracle(), p, in, expected, {}, whole(oracle(), p));
    expect_near(got, expected, [&](int64_t i, int64_t j) { return element_tolerance(in, p, i, j, 1.0); });
  }
}

TEST_P(GemmTest, EveryEpilogueMatchesOracle) {
  const Problem p{13, 83, 40};
  const Operands in(p);
  for (int kind = 0; kind <= static_cast<int>(Activation::hard_sigmoid); ++kind)
    for (int steps = 0; steps < 32; ++steps) {
      SCOPED_TRACE(testing::Message() << "activation " << kind << " steps " << steps);
      Epilogue epilogue;
      epilogue.activation = static_cast<Activation>(kind);
      if (steps & 1) epilogue.bias = in.bias.data();
      if (steps & 2) epilogue.gamma = in.gamma.data();
      if (steps & 4) {
        epilogue.residual = in.residual.data();
        epilogue.residual_stride = in.residual.stride();
      }
      epilogue.accumulate = steps & 8;
      epilogue.residual_first = steps & 16;
      Guarded got(p.m, p.n), expected(p.m, p.n);
      got.randomize(9);
      expected.randomize(9);
      run(table(), p, in, got, epilogue, whole(table(), p));
      run(oracle(), p, in, expected, epilogue, whole(oracle(), p));
      expect_near(got, expected, [&](int64_t i, int64_t j) {
        return element_tolerance(in, p, i, j, steps & 2 ? std::abs(in.gamma.at(0, j)) : 1.0);
      });
    }
}

TEST_P(GemmTest, ResidualMayBeTheOutput) {
  const Problem p{19, 70, 24};
  const Operands in(p);
  Guarded separate(p.m, p.n), in_place(p.m, p.n);
  in_place.copy_from(in.residual);
  Epilogue epilogue;
  epilogue.bias = in.bias.data();
  epilogue.residual = in.residual.data();
  epilogue.residual_stride = in.residual.stride();
  run(table(), p, in, separate, epilogue, whole(table(), p));
  epilogue.residual = in_place.data();
  epilogue.residual_stride = in_place.stride();
  run(table(), p, in, in_place, epilogue, whole(table(), p));
  expect_near(in_place, separate, [](int64_t, int64_t) { return 0.0; });
}

TEST_P(GemmTest, BitsDoNotDependOnTheParts) {
  const Problem p{101, 210, 37};
  const Operands in(p);
  Guarded expected(p.m, p.n);
  run(table(), p, in, expected, {}, whole(table(), p));
  std::vector<GemmPart> crumbs;
  for (int64_t m = 0; m < p.m; m += 7)
    for (int64_t panel = 0; panel < panel_count(table(), p.n); ++panel)
      crumbs.push_back({m, std::min(m + 7, p.m), panel, panel + 1});
  Guarded got(p.m, p.n);
  run(table(), p, in, got, {}, crumbs);
  expect_near(got, expected, [](int64_t, int64_t) { return 0.0; });
}

TEST_P(GemmTest, GridCoversEveryElementOnce) {
  for (const Problem& p :
       {Problem{197, 192, 768}, Problem{1, 1000, 768}, Problem{1576, 2304, 768}, Problem{50, 10, 400}})
    for (int threads : {1, 2, 3, 8, 64}) {
      const GemmGrid grid = gemm_grid(table(), p.m, p.n, p.k, threads);
      std::vector<int> hits(static_cast<std::size_t>(p.m * panel_count(table(), p.n)));
      for (int64_t index = 0; index < grid.parts(); ++index) {
        const GemmPart part = gemm_part(table(), grid, p.m, p.n, index);
        for (int64_t m = part.m0; m < part.m1; ++m)
          for (int64_t panel = part.p0; panel < part.p1; ++panel)
            ++hits[static_cast<std::size_t>(m * panel_count(table(), p.n) + panel)];
      }
      EXPECT_TRUE(std::all_of(hits.begin(), hits.end(), [](int h) { return h == 1; })) << p << " on " << threads;
    }
}

TEST_P(GemmTest, PackingTakesEitherLayoutPanelByPanel) {
  for (const Problem& p : kProblems) {
    SCOPED_TRACE(p);
    const Operands in(p);
    Guarded transposed(p.k, p.n, 4), general(p.n, 2 * p.k);
    for (int64_t n = 0; n < p.n; ++n)
      for (int64_t k = 0; k < p.k; ++k) {
        transposed.at(k, n) = in.weight.at(n, k);
        general.at(n, 2 * k) = in.weight.at(n, k);
      }
    const int64_t size = packed_size(table(), p.n, p.k), panels = panel_count(table(), p.n);
    Guarded a(1, size, 0, true), b(1, size, 0, true), c(1, size, 0, true);
    table().pack_b(a.data(), in.weight.data(), in.weight.stride(), 1, p.n, p.k, 0, panels);
    for (int64_t panel = 0; panel < panels; ++panel)
      table().pack_b(b.data(), transposed.data(), 1, transposed.stride(), p.n, p.k, panel, panel + 1);
    table().pack_b(c.data(), general.data(), general.stride(), 2, p.n, p.k, 0, panels);
    expect_near(b, a, [](int64_t, int64_t) { return 0.0; });
    expect_near(c, a, [](int64_t, int64_t) { return 0.0; });
  }
}

TEST_P(GemmTest, NanStaysInItsRow) {
  const Problem p{8, 20, 10};
  Operands in(p);
  in.a.at(3, 4) = NAN;
  Guarded c(p.m, p.n);
  run(table(), p, in, c, {}, whole(table(), p));
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) EXPECT_EQ(std::isnan(c.at(i, j)), i == 3);
}

}  // namespace
}  // namespace vit::kernels::test
