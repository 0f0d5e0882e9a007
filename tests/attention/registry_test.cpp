// What every registered mechanism has to do, whatever it computes. A new file in vit/attention is swept without being
// named here.
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "tests/support/model_gradients.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tolerance.h"
#include "vit/autograd/tape.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/io/safetensors.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::random_tensor;
using test::same_bits;

constexpr int64_t kDim = 24, kHeads = 3, kMemoryDim = 10;

struct Place {
  int64_t batch;
  Grid grid;
  int64_t prefix;
};
std::ostream& operator<<(std::ostream& out, const Place& place) {
  return out << "batch " << place.batch << ", grid " << place.grid.height << " x " << place.grid.width << ", "
             << place.prefix << " prefix tokens";
}

AttentionShape shape_of(const AttentionTraits& traits, const Place& place) {
  return {.dim = kDim,
          .num_heads = kHeads,
          .grid = place.grid,
          .prefix_tokens = place.prefix,
          .memory_dim = traits.needs_memory ? kMemoryDim : 0};
}

/// False: the mechanism itself refuses such a grid (one that its blocks do not divide).
bool fits(const std::string& name, const Place& place) {
  const AttentionTraits& traits = attention_registry().find(name).traits;
  if (place.prefix > 0 ? !traits.takes_prefix : traits.needs_prefix) return false;
  try {
    build_attention(ConfigNode::make_scalar(name, true), shape_of(traits, place));
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
    return false;
  }
}

/// Odd extents, single rows, columns and tokens, with as many prefix tokens as the mechanism takes. The last ones are
/// for those that only take multiples.
std::vector<Place> places_of(const std::string& name) {
  std::vector<Place> places;
  for (const Place& place :
       {Place{1, {5, 7}, 0}, Place{3, {3, 5}, 0}, Place{2, {1, 6}, 0}, Place{1, {4, 1}, 0}, Place{2, {1, 1}, 0},
        Place{2, {9, 8}, 0}, Place{1, {5, 7}, 1}, Place{3, {3, 5}, 5}, Place{2, {1, 1}, 1}, Place{3, {7, 14}, 0}})
    if (fits(name, place)) places.push_back(place);
  return places;
}

/// The first of some grids that the mechanism takes; 7 x 7 when it takes none.
Place place_of(const std::string& name, int64_t batch, const std::vector<Grid>& grids, int64_t prefix) {
  for (const Grid& grid : grids)
    if (fits(name, {batch, grid, prefix})) return {batch, grid, prefix};
  return {batch, {7, 7}, prefix};
}

/// Rows of a batch, or of the tokens' axis.
Tensor taken(const Tensor& tensor, int axis, const std::vector<int64_t>& rows) {
  std::vector<int64_t> shape(tensor.shape().begin(), tensor.shape().end());
  shape[static_cast<size_t>(axis)] = static_cast<int64_t>(rows.size());
  Tensor result = Tensor::empty(Shape(shape));
  int64_t inner = 1, outer = 1;
  for (int d = 0; d < axis; ++d) outer *= tensor.size(d);
  for (int d = axis + 1; d < tensor.rank(); ++d) inner *= tensor.size(d);
  float* to = result.f32();
  for (int64_t o = 0; o < outer; ++o)
    for (const int64_t row : rows) {
      const float* from = tensor.f32() + (o * tensor.size(axis) + row) * inner;
      to = std::copy(from, from + inner, to);
    }
  return result;
}

Tensor run(const Attention& attention, const Tensor& x, const AttentionInput& input) {
  Context ctx;
  return attention.forward(ctx, x, input).value().clone();
}

class EveryAttention : public testing::TestWithParam<std::string> {
 protected:
  const AttentionTraits& traits() const { return entry().traits; }
  const AttentionEntry& entry() const { return attention_registry().find(GetParam()); }
  std::vector<Place> places() const { return places_of(GetParam()); }
  Place fitting(int64_t batch, const Grid& grid, int64_t prefix) const {
    return place_of(GetParam(), batch, {grid}, prefix);
  }
  int64_t least_prefix() const { return traits().needs_prefix ? 1 : 0; }
  /// Several samples, prefix tokens where they are taken.
  Place common_place() const { return fitting(3, {5, 7}, traits().takes_prefix ? 2 : 0); }
  std::unique_ptr<MechanismCheck> make(const Place& place, int64_t layer = 0) const {
    AttentionShape shape = shape_of(traits(), place);
    shape.layer = layer;
    return std::make_unique<MechanismCheck>(GetParam(), shape, place.batch);
  }
};

TEST_P(EveryAttention, SaysWhatItIs) {
  for (const std::string* text : {&traits().summary, &traits().formula, &traits().source, &traits().complexity})
    EXPECT_NE(*text, "");
  EXPECT_EQ(traits().complexity.substr(0, 2), "O(");
  EXPECT_LE(traits().complexity.size(), 24u) << "a column of vitkit info --list attentions";
  EXPECT_FALSE(traits().needs_prefix && !traits().takes_prefix);
  for (const auto& field : entry().options()) EXPECT_NE(field.doc, "") << field.name;
}

TEST_P(EveryAttention, WrittenDefaultsMakeTheSameMechanism) {
  ConfigNode node = ConfigNode::make_map().with("type", ConfigNode::make_scalar(GetParam(), true));
  for (const auto& field : entry().options())
    if (field.depth == 0 && !field.is_section) node = node.with(field.name, field.value);
  const AttentionShape shape = shape_of(traits(), common_place());
  const auto shapes = [](Attention& attention) {
    std::vector<std::pair<std::string, Shape>> all;
    attention.visit_parameters([&](const std::string& name, Parameter& p) { all.emplace_back(name, p.shape); });
    return all;
  };
  EXPECT_EQ(shapes(*build_attention(node, shape)),
            shapes(*build_attention(ConfigNode::make_scalar(GetParam(), true), shape)));
}

TEST_P(EveryAttention, RefusesPlacesWhereItCannotWork) {
  const auto refused = [&](const AttentionShape& shape) {
    const ConfigNode node = ConfigNode::parse("attention: " + GetParam(), "m.yaml").get("attention");
    return test::usage_error([&] { build_attention(node, shape); });
  };
  const AttentionShape fits = shape_of(traits(), places().front());
  AttentionShape shape = fits;
  if (traits().needs_grid) {
    shape.grid = {};
    EXPECT_THAT(refused(shape), testing::HasSubstr("m.yaml:1: attention: "));
  }
  if (!traits().takes_prefix) {
    (shape = fits).prefix_tokens = 1;
    EXPECT_THAT(refused(shape), testing::HasSubstr("class_token: false"));
  }
  if (traits().needs_prefix) {
    (shape = fits).prefix_tokens = 0;
    EXPECT_THAT(refused(shape), testing::HasSubstr("class_token: true"));
  }
  if (traits().needs_memory) {
    (shape = fits).memory_dim = 0;
    EXPECT_THAT(refused(shape), testing::HasSubstr("memory"));
  }
  const ConfigNode unknown = ConfigNode::parse("{type: " + GetParam() + ", no_such_option: 1}", "m.yaml");
  EXPECT_THAT(test::usage_error([&] { build_attention(unknown, fits); }), testing::HasSubstr("no_such_option"));
}

TEST_P(EveryAttention, KeepsShapesAtOddSizes) {
  ASSERT_FALSE(places().empty());
  for (const Place& place : places()) {
    SCOPED_TRACE(testing::PrintToString(place));
    for (const int64_t layer : {0, 1}) {
      const auto check = make(place, layer);
      const Tensor y = check->run();
      ASSERT_EQ(y.shape(), check->x().shape());
      for (int64_t i = 0; i < y.numel(); ++i) ASSERT_TRUE(std::isfinite(y.f32()[i])) << i;
    }
  }
}

TEST_P(EveryAttention, GradientsAreTheSlopes) {
  for (const Place& place : {fitting(2, {3, 5}, least_prefix()), common_place()}) {
    SCOPED_TRACE(testing::PrintToString(place));
    make(place, /*layer=*/1)->expect_slopes();
  }
}

TEST_P(EveryAttention, SamplesOfABatchDoNotMix) {
  const Place place = common_place();
  const auto check = make(place);
  const Tensor all = check->run();
  for (int64_t b = 0; b < place.batch; ++b) {
    AttentionInput input = check->input();
    if (input.memory.defined()) input.memory = taken(input.memory.value(), 0, {b});
    const Tensor alone = run(check->mechanism(), taken(check->x(), 0, {b}), input), row = taken(all, 0, {b});
    EXPECT_LE(test::relative_l2(alone.f32(), row.f32(), row.numel()), 1e-6) << "sample " << b;
  }
}

TEST_P(EveryAttention, PackedWeightsChangeNothing) {
  for (const Place& place : places()) {
    SCOPED_TRACE(testing::PrintToString(place));
    make(place)->expect_prepared_equals_plain();
  }
}

TEST_P(EveryAttention, RecordingChangesNothing) {
  const auto check = make(common_place());
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Tensor recorded = check->forward(ctx).value().clone();
  EXPECT_TRUE(same_bits(recorded, check->run()));
}

TEST_P(EveryAttention, ObserversSeeMatricesAndChangeNothing) {
  const Place place = common_place();
  const auto check = make(place);
  const int64_t tokens = check->x().size(1);
  for (const char* name : {"probs", "scores"}) {
    const Tensor seen = check->observed(name);
    if (!seen.defined()) continue;
    ASSERT_EQ(seen.rank(), 4) << name << ": " << seen.shape();
    EXPECT_EQ(seen.size(0), place.batch) << name;
    EXPECT_LE(seen.size(2), tokens) << name;
    for (int64_t i = 0; name == std::string("probs") && i < seen.numel(); ++i)
      ASSERT_TRUE(std::isfinite(seen.f32()[i])) << "probs " << i;
  }
  const Tensor channels = check->observed("channel_probs");
  EXPECT_TRUE(!channels.defined() || channels.size(0) == place.batch);
  // Whoever looks at everything gets the same output.
  struct All : Observer {
    bool wants(const std::string&) override { return true; }
    void observe(const std::string&, const Tensor&) override {}
  } all;
  Context ctx;
  ctx.observer = &all;
  EXPECT_TRUE(same_bits(check->forward(ctx).value(), check->run()));
}

TEST_P(EveryAttention, ParametersAreSavedAndLoaded) {
  const test::TempDir dir;
  const auto check = make(common_place());
  std::vector<SafetensorsEntry> entries;
  check->mechanism().visit_parameters([&](const std::string& name, Parameter& p) {
    entries.push_back({name, p.value.value()});
  });
  write_safetensors(dir / "a.safetensors", entries);
  const SafetensorsFile file = SafetensorsFile::open(dir / "a.safetensors");

  const auto other = build_attention(ConfigNode::make_scalar(GetParam(), true), shape_of(traits(), common_place()));
  size_t loaded = 0;
  other->visit_parameters([&](const std::string& name, Parameter& p) {
    ASSERT_NE(file.find(name), nullptr) << name;
    p.value = file.view(name);
    EXPECT_EQ(p.value.shape(), p.shape) << name;
    ++loaded;
  });
  EXPECT_EQ(loaded, entries.size());
  EXPECT_TRUE(same_bits(run(*other, check->x(), check->input()), check->run()));
}

TEST_P(EveryAttention, SameBitsOnAnyNumberOfThreads) {
  const auto check = make(fitting(5, {9, 11}, traits().takes_prefix ? 1 : 0));
  const Tensor d_output = random_tensor(check->x().shape(), 4);
  const auto both = [&](int threads) {
    set_num_threads(threads);
    Context ctx;
    std::map<std::string, Tensor> all = test::gradients_of(
        *check, ctx, [&](Context& inner) { return check->forward(inner); }, d_output);
    all["output"] = check->run();
    return all;
  };
  const auto one = both(1), eight = both(8);
  set_num_threads(0);
  ASSERT_EQ(one.size(), eight.size());
  for (const auto& [name, value] : one) EXPECT_TRUE(same_bits(value, eight.at(name))) << name;
}

TEST_P(EveryAttention, ResidualIsWhatIsAddedAfterwards) {
  for (const Place& place : {common_place(), fitting(1, {1, 2}, least_prefix())}) {
    const auto check = make(place);
    const Tensor branch = check->run();
    const Tensor residual = random_tensor(branch.shape(), 5), gamma = random_tensor({kDim}, 6);
    for (const bool scaled : {false, true}) {
      check->input().residual = {.residual = residual};
      if (scaled) check->input().residual.gamma = gamma;
      Tensor want = residual.clone();
      for (int64_t i = 0; i < want.numel(); ++i)
        want.f32()[i] += (scaled ? gamma.f32()[i % kDim] : 1.0f) * branch.f32()[i];
      test::expect_near(check->run(), want, scaled ? "residual + gamma y" : "residual + y");
    }
    check->expect_slopes();
  }
}

TEST_P(EveryAttention, WantedTokensAreTheFirstOfAll) {
  for (const int64_t prefix : {0, 2}) {
    if (prefix > 0 ? !traits().takes_prefix : traits().needs_prefix) continue;
    const auto check = make(fitting(2, {3, 5}, prefix));
    const Tensor all = check->run();
    const Tensor residual = random_tensor(all.shape(), 5);
    for (const int64_t wanted : {int64_t{1}, prefix + 3}) {
      SCOPED_TRACE(str(wanted, " tokens wanted, ", prefix, " of them prefix tokens"));
      check->input().wanted_tokens = wanted;
      check->input().residual = {};
      std::vector<int64_t> rows(static_cast<size_t>(wanted));
      std::iota(rows.begin(), rows.end(), 0);
      const Tensor want = taken(all, 1, rows);
      test::expect_near(check->run(), want);
      const Tensor kept = taken(residual, 1, rows);
      check->input().residual.residual = kept;
      for (int64_t i = 0; i < want.numel(); ++i) want.f32()[i] += kept.f32()[i];
      test::expect_near(check->run(), want, "with residual");
    }
    check->expect_slopes();
  }
}

TEST_P(EveryAttention, TakesAnotherGrid) {
  const Place from = fitting(2, {5, 6}, least_prefix());
  int taken_over = 0;
  for (const Grid& to : {Grid{7, 4}, Grid{3, 3}, Grid{14, 7}, from.grid}) {
    if (!fits(GetParam(), {2, to, from.prefix})) continue;
    const auto check = make(from);
    check->mechanism().set_grid(to);
    check->mechanism().visit_parameters(
        [](const std::string& name, Parameter& p) { EXPECT_EQ(p.value.shape(), p.shape) << name; });
    AttentionInput input = check->input();
    input.grid = to;
    const Tensor x = random_tensor({2, from.prefix + to.count(), kDim}, 9);
    EXPECT_EQ(run(check->mechanism(), x, input).shape(), x.shape());
    ++taken_over;
  }
  EXPECT_GE(taken_over, 2);
  // Its own grid, where it is told it again, is no other.
  const auto check = make(from);
  const Tensor before = check->run();
  check->mechanism().set_grid(from.grid);
  EXPECT_TRUE(same_bits(check->run(), before));
}

TEST_P(EveryAttention, CountsItsWork) {
  struct Sum : CostSink {
    void add_cost(const std::string&, std::string_view, double f, double b) override { flops += f, bytes += b; }
    double flops = 0.0, bytes = 0.0;
  } small, large;
  for (const auto& [sum, batch] : {std::pair{&small, int64_t{1}}, std::pair{&large, int64_t{4}}}) {
    const auto check = make(fitting(batch, {5, 7}, least_prefix()));
    Context ctx;
    ctx.costs = sum;
    check->forward(ctx);
  }
  EXPECT_GT(small.bytes, 0.0);
  EXPECT_NEAR(large.flops, 4.0 * small.flops, 0.1 * large.flops) << "work grows with the batch";
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryAttention, testing::ValuesIn(attention_registry().names()),
                         [](const auto& item) { return item.param; });

std::vector<std::string> names_with(Equivariance equivariance) {
  std::vector<std::string> names;
  for (const std::string& name : attention_registry().names())
    if (attention_registry().find(name).traits.equivariance == equivariance) names.push_back(name);
  return names;
}

/// The output of reordered tokens is the reordered output. `order` is of the grid's cells.
void expect_equivariant(const std::string& name, const std::vector<int64_t>& order) {
  const AttentionTraits& traits = attention_registry().find(name).traits;
  const Place place = {2, {4, 5}, traits.takes_prefix ? 2 : 0};
  MechanismCheck check(name, shape_of(traits, place), place.batch);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < place.prefix; ++i) rows.push_back(i);
  for (const int64_t cell : order) rows.push_back(place.prefix + cell);
  const Tensor reordered = run(check.mechanism(), taken(check.x(), 1, rows), check.input());
  test::expect_near(reordered, taken(check.run(), 1, rows), name);
}

class TokenEquivariance : public testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TokenEquivariance);
TEST_P(TokenEquivariance, AnyOrderOfThePatches) {
  std::vector<int64_t> order(20);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(3, 1);
  for (size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[static_cast<size_t>(rng.uniform() * static_cast<float>(i + 1))]);
  expect_equivariant(GetParam(), order);
}
INSTANTIATE_TEST_SUITE_P(Registry, TokenEquivariance, testing::ValuesIn(names_with(Equivariance::tokens)),
                         [](const auto& item) { return item.param; });

class AxisEquivariance : public testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AxisEquivariance);
TEST_P(AxisEquivariance, AnyOrderOfRowsAndOfColumns) {
  const std::vector<int64_t> rows = {2, 0, 3, 1}, columns = {4, 1, 0, 3, 2};
  std::vector<int64_t> order;
  for (const int64_t row : rows)
    for (const int64_t column : columns) order.push_back(5 * row + column);
  expect_equivariant(GetParam(), order);
}
INSTANTIATE_TEST_SUITE_P(Registry, AxisEquivariance, testing::ValuesIn(names_with(Equivariance::axes)),
                         [](const auto& item) { return item.param; });

TEST(AttentionRegistry, HasNamesThatFilesCanHave) {
  const std::vector<std::string> names = attention_registry().names();
  EXPECT_GE(names.size(), 2u);
  for (const std::string& name : names)
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string::npos) << name;
}

}  // namespace
}  // namespace vit
