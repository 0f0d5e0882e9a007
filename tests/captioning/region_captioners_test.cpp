// The captioners that are trained here: that words one by one have the logits of all at once, that gradients are
// slopes, and what observers see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>

#include "captioning/model.h"
#include "captioning/picture_rows.h"
#include "captioning/regions.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "vit/core/config.h"
#include "vit/core/parallel.h"
#include "vit/models/build.h"
#include "vit/models/load.h"

namespace captioning {
namespace {

using testing::HasSubstr;
using vit::Context;
using vit::Shape;
using vit::Tensor;
using vit::Var;

/// `call` must fail with a message that has these words.
template <class Call>
void expect_error(const Call& call, const std::string& words) {
  try {
    call();
    ADD_FAILURE() << "expected an error about: " << words;
  } catch (const vit::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(words));
  }
}

constexpr int64_t kWords = 11, kPictures = 2, kSide = 16;

constexpr const char* kShared = "img_size: [16, 16]\nvocab_size: 11\ndropout: 0.0\nnum_heads: 2\n";
/// Two maps, 4 x 4 and 2 x 2 cells.
constexpr const char* kBackbone =
    "backbone: {type: resnet, block: basic, layers: [1, 1], channels: [4, 6], stem_channels: 4}\n";

std::string recurrent(const std::string& more) {
  const bool own_backbone = more.find("backbone:") != std::string::npos;
  return std::string("type: show_attend_tell\nregion_dim: 6\nembed_dim: 5\nhidden_dim: 8\n") + kShared +
         (own_backbone ? "" : kBackbone) + more;
}
std::string transformer(const std::string& more) {
  return std::string(
             "type: transformer_captioner\nd_model: 8\ndecoder_layers: 2\ndecoder_attention_heads: 2\n"
             "decoder_ffn_dim: 12\nmax_positions: 9\n") +
         kShared + kBackbone + more;
}

struct Family {
  const char* name;
  std::string yaml;
};
void PrintTo(const Family& family, std::ostream* out) { *out << family.name; }

std::vector<Family> families() {
  return {
      {"recurrent", recurrent("")},
      {"recurrent_multiplicative", recurrent("attention: multiplicative\n")},
      {"recurrent_cross", recurrent("attention: cross\nbackbone_maps: [0, 1]\n")},
      {"recurrent_hard", recurrent("attention: {type: hard, estimator: reinforce}\n")},
      {"recurrent_hierarchical", recurrent("attention: hierarchical\nbackbone_maps: [0, 1]\n")},
      {"recurrent_vit",
       recurrent("backbone: {type: vit, patch_size: [4, 4], embed_dim: 8, depth: 1, num_heads: 2, reg_tokens: 1}\n")},
      {"transformer", transformer("")},
      {"transformer_additive", transformer("attention: additive\n")},
      {"transformer_hierarchical", transformer("attention: hierarchical\nbackbone_maps: [0, 1]\n")}};
}

std::unique_ptr<CaptionModel> build(const std::string& yaml) {
  auto model = vit::build_model(vit::ConfigNode::parse(yaml, "test"), "test");
  auto* captioner = dynamic_cast<CaptionModel*>(model.get());
  EXPECT_NE(captioner, nullptr);
  static_cast<void>(model.release());
  return std::unique_ptr<CaptionModel>(captioner);
}

std::unique_ptr<CaptionModel> filled(const std::string& yaml) {
  auto model = build(yaml);
  vit::test::fill_leaves(*model);
  return model;
}

Tensor ids_of(const std::vector<int64_t>& ids, int64_t rows) {
  return Tensor::from(ids, {rows, static_cast<int64_t>(ids.size()) / rows});
}

Tensor some_images() { return vit::test::random_tensor({kPictures, 3, kSide, kSide}, 6); }
Tensor some_ids() { return ids_of({1, 4, 9, 3, 5, 1, 7, 7, 10, 6}, kPictures); }

/// [row, position] of logits [B, T, V].
std::vector<float> row_of(const Tensor& logits, int64_t row, int64_t position) {
  const float* begin = logits.f32() + (row * logits.size(1) + position) * logits.size(2);
  return {begin, begin + logits.size(2)};
}

void expect_near_row(const Tensor& answer, int64_t row, const std::vector<float>& expected) {
  ASSERT_EQ(answer.size(1), static_cast<int64_t>(expected.size()));
  for (size_t v = 0; v < expected.size(); ++v)
    EXPECT_NEAR(answer.f32()[static_cast<size_t>(row) * expected.size() + v], expected[v], 1e-5) << "row " << row;
}

class RegionCaptioners : public testing::TestWithParam<Family> {};

TEST_P(RegionCaptioners, WordByWordIsAllAtOnce) {
  const auto model = filled(GetParam().yaml);
  model->visit_modules([](const std::string&, vit::Module& module) { module.prepare(); });
  Context ctx;
  const Tensor encoded = model->encode(ctx, some_images()).value();
  const Tensor ids = some_ids();
  const Tensor all = model->logits(ctx, encoded, ids, {}).value();
  ASSERT_EQ(all.shape(), (Shape{kPictures, 5, kWords}));

  const auto state = model->begin(ctx, encoded, 1);
  EXPECT_EQ(state->rows(), kPictures);
  // The first two words at once, as a prompt, the others one by one.
  Tensor answer = model->step(ctx, *state, ids_of({1, 4, 1, 7}, 2));
  for (int64_t t = 1; t < 5; ++t) {
    EXPECT_EQ(state->length(), t + 1);
    for (int64_t row = 0; row < kPictures; ++row) expect_near_row(answer, row, row_of(all, row, t));
    if (t == 4) break;
    const int64_t* next = ids.data<int64_t>() + t + 1;
    answer = model->step(ctx, *state, ids_of({next[0], next[5]}, 2));
  }
}

TEST_P(RegionCaptioners, RowsGoOnFromTheirParents) {
  const auto model = filled(GetParam().yaml);
  Context ctx;
  const Tensor encoded = model->encode(ctx, some_images()).value();
  // Three captions of each picture, which then change places, within their picture and to fewer and uneven rows.
  const std::vector<std::vector<int64_t>> captions = {{1, 4, 9}, {1, 5, 2}, {1, 6, 6}, {1, 7, 3}, {1, 8, 8}, {1, 9, 0}};
  const auto state = model->begin(ctx, encoded, 3);
  std::vector<int64_t> first, second;
  for (const auto& caption : captions) {
    first.push_back(caption[0]);
    second.push_back(caption[1]);
  }
  static_cast<void>(model->step(ctx, *state, ids_of(first, 6)));
  static_cast<void>(model->step(ctx, *state, ids_of(second, 6)));
  const auto expect_answers = [&](const std::vector<int64_t>& parents) {
    std::vector<int64_t> words;
    for (const int64_t parent : parents) words.push_back(captions[static_cast<size_t>(parent)][2]);
    const Tensor answer = model->step(ctx, *state, ids_of(words, static_cast<int64_t>(parents.size())));
    for (size_t row = 0; row < parents.size(); ++row) {
      const int64_t picture = parents[row] / 3;
      const Tensor alone = model
                               ->logits(ctx, encoded.slice(picture, picture + 1),
                                        ids_of(captions[static_cast<size_t>(parents[row])], 1), {})
                               .value();
      expect_near_row(answer, static_cast<int64_t>(row), row_of(alone, 0, 2));
    }
  };
  state->select({2, 0, 0, 5, 5, 4});
  expect_answers({2, 0, 0, 5, 5, 4});

  const auto other = model->begin(ctx, encoded, 3);
  static_cast<void>(model->step(ctx, *other, ids_of(first, 6)));
  static_cast<void>(model->step(ctx, *other, ids_of(second, 6)));
  other->select({1, 3, 4});
  EXPECT_EQ(other->rows(), 3);
  EXPECT_EQ(other->length(), 2);
  const Tensor answer = model->step(ctx, *other, ids_of({2, 3, 8}, 3));
  const std::vector<int64_t> parents = {1, 3, 4};
  for (int64_t row = 0; row < 3; ++row) {
    const int64_t parent = parents[static_cast<size_t>(row)], picture = parent / 3;
    const Tensor alone =
        model->logits(ctx, encoded.slice(picture, picture + 1), ids_of(captions[static_cast<size_t>(parent)], 1), {})
            .value();
    expect_near_row(answer, row, row_of(alone, 0, 2));
  }
  EXPECT_THAT([&] { other->select({3}); }, testing::Throws<vit::Error>());
}

TEST_P(RegionCaptioners, GradientsAreSlopes) {
  const auto model = filled(GetParam().yaml);
  const Tensor images = some_images(), ids = some_ids();
  // ReLUs of the backbone make corners: one of the steps lies between them.
  vit::test::expect_directional_derivatives(
      *model, [&](Context& ctx) { return model->logits(ctx, model->encode(ctx, images), ids, {}); },
      std::vector<double>{0.02, 0.01, 0.005, 0.0025, 0.00125});
}

TEST_P(RegionCaptioners, ObserversSeeWhereWordsLooked) {
  const auto model = filled(GetParam().yaml);
  struct Keeper : vit::Observer {
    std::string name;
    Tensor seen;
    int64_t others = 0;
    bool wants(const std::string& asked) override {
      if (asked.ends_with("probs") && asked.find("backbone") == std::string::npos && asked != name) ++others;
      return asked == name;
    }
    void observe(const std::string&, const Tensor& value) override { seen = value.clone(); }
  } keeper;
  Context ctx;
  const Tensor encoded = model->encode(ctx, some_images()).value();
  ASSERT_GE(model->attention_layers(), 1);
  for (int64_t layer = 0; layer < model->attention_layers(); ++layer) {
    const WordAttention where = model->word_attention(layer);
    int64_t cells = where.prefix_tokens;
    for (const vit::Grid& grid : where.grids) cells += grid.count();
    EXPECT_EQ(cells, encoded.size(1));
    keeper.name = where.name;
    keeper.seen = {};
    ctx.observer = &keeper;
    const Tensor logits = model->logits(ctx, encoded, some_ids(), {}).value();
    ctx.observer = nullptr;
    ASSERT_TRUE(keeper.seen.defined()) << where.name;
    ASSERT_EQ(keeper.seen.rank(), 4);
    EXPECT_EQ(keeper.seen.size(0), kPictures);
    EXPECT_EQ(keeper.seen.size(2), 5);
    ASSERT_EQ(keeper.seen.size(3), cells);
    for (int64_t row = 0; row < keeper.seen.numel() / cells; ++row)
      EXPECT_NEAR(std::accumulate(keeper.seen.f32() + row * cells, keeper.seen.f32() + (row + 1) * cells, 0.0), 1.0,
                  1e-5);
    // Looking on changes nothing.
    EXPECT_TRUE(vit::test::same_bits(logits, model->logits(ctx, encoded, some_ids(), {}).value()));
  }
  EXPECT_THAT([&] { static_cast<void>(model->word_attention(model->attention_layers())); },
              testing::Throws<vit::Error>());
}

TEST_P(RegionCaptioners, DescribeMakesThemAgain) {
  const auto model = filled(GetParam().yaml);
  const std::vector<std::string> fresh = model->replace_head(17);
  EXPECT_EQ(model->vocab_size(), 17);
  const auto again = build(model->describe().to_yaml());
  std::map<std::string, Shape> shapes;
  model->visit_parameters([&](const std::string& name, vit::Parameter& p) { shapes[name] = p.shape; });
  again->visit_parameters([&](const std::string& name, vit::Parameter& p) {
    ASSERT_EQ(shapes.count(name), 1u) << name;
    EXPECT_EQ(shapes[name], p.shape) << name;
  });
  for (const std::string& name : fresh) EXPECT_EQ(shapes.count(name), 1u) << name;
  // What is new has no value until it is given one.
  model->visit_parameters([&](const std::string& name, vit::Parameter& p) {
    EXPECT_EQ(p.value.defined(), std::find(fresh.begin(), fresh.end(), name) == fresh.end()) << name;
    if (!p.value.defined()) vit::initialise_parameter(name, p, 1);
  });
  Context ctx;
  const Tensor encoded = model->encode(ctx, some_images()).value();
  EXPECT_EQ(model->logits(ctx, encoded, some_ids(), {}).size(2), 17);
}

TEST_P(RegionCaptioners, SameBitsOnAnyThreads) {
  const auto step = [&] {
    const auto model = filled(GetParam().yaml);
    Context ctx;
    const Tensor images = some_images();
    auto gradients = vit::test::gradients_of(*model, ctx, [&](Context& inner) {
      return model->logits(inner, model->encode(inner, images), some_ids(), {});
    });
    return gradients;
  };
  vit::set_num_threads(1);
  const auto one = step();
  vit::set_num_threads(3);
  const auto three = step();
  vit::set_num_threads(0);
  ASSERT_EQ(one.size(), three.size());
  for (const auto& [name, gradient] : one) EXPECT_TRUE(vit::test::same_bits(gradient, three.at(name))) << name;
}

TEST_P(RegionCaptioners, RefuseWhatTheyCannotTake) {
  const auto model = filled(GetParam().yaml);
  Context ctx;
  const Tensor encoded = model->encode(ctx, some_images()).value();
  expect_error([&] { static_cast<void>(model->logits(ctx, encoded, ids_of({1, 2, 3, 11}, 2), {})); }, "token 11");
  expect_error([&] { static_cast<void>(model->logits(ctx, encoded, ids_of({1, 2, 3}, 3), {})); }, "i64 [2, T]");
  expect_error([&] { static_cast<void>(model->encode(ctx, Tensor::zeros({1, 3, 32, 32}))); }, "built for");
  expect_error([&] { static_cast<void>(model->begin(ctx, encoded, 0)); }, "at least one row");
  expect_error([&] { static_cast<void>(model->replace_head(2)); }, "eos_token_id 2");
  expect_error([&] { model->set_input_size(18, 18); }, "divisible by");
  model->set_input_size(32, 32);
  EXPECT_EQ(model->encode(ctx, Tensor::zeros({1, 3, 32, 32})).size(1), 4 * encoded.size(1));
}

INSTANTIATE_TEST_SUITE_P(All, RegionCaptioners, testing::ValuesIn(families()),
                         [](const auto& item) { return std::string(item.param.name); });

TEST(TransformerCaptioner, HasNoMorePositionsThanItHas) {
  const auto model = filled(transformer(""));
  Context ctx;
  const Tensor encoded = model->encode(ctx, some_images()).value();
  expect_error(
      [&] {
        static_cast<void>(model->logits(ctx, encoded, Tensor::zeros({2, 10}, vit::DType::i64), {}));
      },
      "10 tokens are more than the model has positions, 9");
}

TEST(RegionCaptioner, ConfigurationsThatMakeNoModel) {
  expect_error([] { build("type: show_attend_tell\n"); }, "a captioner needs a `backbone`");
  expect_error([] { build(recurrent("backbone_maps: [2]\n")); }, "names map 2");
  expect_error([] { build(recurrent("attention: window\n")); }, "window");
  expect_error([] { build(recurrent("eos_token_id: 11\n")); }, "eos_token_id 11 is no token of a vocabulary of 11");
  expect_error([] { build(recurrent("eos_token_id: 1\n")); }, "must differ");
  expect_error([] { build(transformer("num_heads: 3\n")); }, "num_heads");
}

TEST(RegionEncoder, CellsKnowWhereTheyAre) {
  const Tensor sines = cell_sines({2, 4});
  ASSERT_EQ(sines.shape(), (Shape{1, 8, 20}));
  // Row 1, column 0: centres at 3/4 and 1/8.
  const float* cell = sines.f32() + 4 * 20;
  EXPECT_NEAR(cell[0], std::sin(M_PI * 0.75), 1e-6);
  EXPECT_NEAR(cell[1], std::cos(M_PI * 0.75), 1e-6);
  EXPECT_NEAR(cell[2], std::sin(M_PI * 0.125), 1e-6);
  EXPECT_NEAR(cell[5], std::cos(2 * M_PI * 0.75), 1e-6);
}

TEST(PictureRows, ShareWhatTheyLookAtWhereTheyCan) {
  const Tensor regions = Tensor::from<float>({0, 1, 2}, {3, 1, 1});
  PictureRows rows(regions, 2);
  EXPECT_EQ(rows.rows(), 6);
  EXPECT_EQ(rows.memory().raw(), regions.raw()) << "no copy";
  rows.select({1, 1, 2, 3, 5, 4});
  EXPECT_EQ(rows.memory().raw(), regions.raw());
  rows.select({0, 1, 4, 5});
  EXPECT_EQ(rows.groups(), 2);
  EXPECT_EQ(rows.memory().f32()[1], 2.0f);
  rows.select({0, 2, 3});
  EXPECT_EQ(rows.groups(), 3);
  EXPECT_EQ(rows.memory().f32()[0], 0.0f);
  EXPECT_EQ(rows.memory().f32()[1], 2.0f);
  EXPECT_EQ(rows.memory().f32()[2], 2.0f);
  expect_error([&] { rows.select({3}); }, "there is no row 3 among 3");
  expect_error([&] { rows.select({}); }, "no rows");
}

}  // namespace
}  // namespace captioning
