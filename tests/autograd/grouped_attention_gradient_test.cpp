// Gradients of attention within groups of tokens against finite differences of its plain definition: windows with
// padding, masks and biases, groups that overlap, tables of each sample's own.
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/attention_ops.h"
#include "vit/autograd/plain_groups.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using plain::GroupTable;
using test::GradientCase;
using test::Plain;
using test::random_tensor;
using testing::HasSubstr;

/// What is checked: q [B, N, ...], k and v of one tensor [B, N, ...].
struct Form {
  int64_t batch = 2, heads = 2, dim = 3, tokens = 6;
  GroupTable queries{};
  std::vector<GroupTable> keys{};  ///< one for all samples, or one each
  int64_t bias_heads = 0;          ///< 0: none
  std::vector<int64_t> mask_of{};  ///< of two masks; empty: none
  bool filler = false;
  bool oracle = true;

  int64_t width() const { return heads * dim; }
  int64_t q_rows() const { return static_cast<int64_t>(queries.front().size()); }
  int64_t kv_rows() const { return static_cast<int64_t>(keys.front().front().size()); }
};

constexpr float kScale = 0.7f;

Tensor table_tensor(const std::vector<GroupTable>& tables) {
  std::vector<int64_t> flat;
  for (const GroupTable& table : tables)
    for (const auto& row : table) flat.insert(flat.end(), row.begin(), row.end());
  const auto groups = static_cast<int64_t>(tables[0].size()), rows = static_cast<int64_t>(tables[0][0].size());
  if (tables.size() == 1) return Tensor::from<int64_t>(flat, {groups, rows});
  return Tensor::from<int64_t>(flat, {static_cast<int64_t>(tables.size()), groups, rows});
}

Tensor masks_of(const Form& form) {
  Tensor masks = random_tensor({2, form.q_rows(), form.kv_rows()}, 9);
  masks.f32()[1] = -std::numeric_limits<float>::infinity();
  return masks;
}

TokenGroups groups_of(const Form& form) { return {table_tensor({form.queries}), table_tensor(form.keys)}; }

GroupedAttentionOptions options_of(const Form& form, const std::vector<Var>& v) {
  GroupedAttentionOptions options{.heads = form.heads, .head_dim = form.dim, .scale = kScale};
  size_t next = 1;
  if (form.bias_heads > 0) options.bias = v[next++];
  if (form.filler) options.filler = v[next];
  if (!form.mask_of.empty()) {
    options.mask = masks_of(form);
    options.mask_of = Tensor::from<int64_t>(form.mask_of, {static_cast<int64_t>(form.mask_of.size())});
  }
  return options;
}

/// bias + mask of every group, and -inf where a key is not there.
Plain added_of(const Form& form, const Plain* bias, size_t head, const GroupTable& keys) {
  Plain added = xt::zeros<double>({form.queries.size(), static_cast<size_t>(form.q_rows()), keys[0].size()});
  const Plain masks = form.mask_of.empty() ? Plain() : test::wide(masks_of(form));
  for (size_t g = 0; g < keys.size(); ++g)
    for (size_t i = 0; i < added.shape(1); ++i)
      for (size_t j = 0; j < keys[g].size(); ++j) {
        if (bias) added(g, i, j) += (*bias)(bias->shape(0) == 1 ? 0 : head, i, j);
        if (!form.mask_of.empty() && form.mask_of[g] >= 0)
          added(g, i, j) += masks(static_cast<size_t>(form.mask_of[g]), i, j);
        if (!form.filler && keys[g][j] < 0) added(g, i, j) = -std::numeric_limits<double>::infinity();
      }
  return added;
}

Plain plain_of(const Form& form, const std::vector<Plain>& v) {
  const auto width = static_cast<size_t>(form.width()), dim = static_cast<size_t>(form.dim);
  const Plain* bias = form.bias_heads > 0 ? &v[1] : nullptr;
  const Plain filler = form.filler ? v.back() : Plain(xt::zeros<double>({3 * width}));
  Plain y = xt::zeros<double>({v[0].shape(0), v[0].shape(1), width});
  for (size_t b = 0; b < v[0].shape(0); ++b)
    for (size_t h = 0; h < static_cast<size_t>(form.heads); ++h) {
      const GroupTable& keys = form.keys[form.keys.size() == 1 ? 0 : b];
      const auto columns = [&](size_t part) {
        const size_t first = part * width + h * dim;
        return Plain(xt::view(v[0], b, xt::all(), xt::range(first, first + dim)));
      };
      const auto filling = [&](size_t part) {
        const size_t first = part * width + h * dim;
        return Plain(xt::view(filler, xt::range(first, first + dim)));
      };
      xt::view(y, b, xt::all(), xt::range(h * dim, (h + 1) * dim)) = plain::grouped_attention<double>(
          columns(0), columns(1), columns(2), form.queries, keys, added_of(form, bias, h, keys), filling(1), filling(2),
          static_cast<double>(kScale));
    }
  return y;
}

GradientCase make(const std::string& name, const Form& form) {
  GradientCase op{.name = name, .inputs = {random_tensor({form.batch, form.tokens, 3 * form.width()}, 1)}};
  if (form.bias_heads > 0) op.inputs.push_back(random_tensor({form.bias_heads, form.q_rows(), form.kv_rows()}, 2));
  if (form.filler) op.inputs.push_back(random_tensor({3 * form.width()}, 3));
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return grouped_attention(ctx, {v[0], 0}, {v[0], form.width()}, {v[0], 2 * form.width()}, groups_of(form),
                             options_of(form, v));
  };
  if (form.oracle) op.plain = [=](const std::vector<Plain>& v) { return plain_of(form, v); };
  return op;
}

Form changed(Form form, const std::function<void(Form&)>& change) {
  change(form);
  return form;
}

Form windows() { return {.queries = {{0, 3, 4}, {5, 1, 2}}, .keys = {{{0, 3, 4}, {5, 1, 2}}}}; }

/// Large windows of one map, in scattered order.
Form large() {
  Form form{.batch = 3, .heads = 3, .dim = 20, .tokens = 4 * 49, .bias_heads = 3, .mask_of = {-1, 0, 1, 0}};
  form.queries.resize(4);
  for (int64_t i = 0; i < form.tokens; ++i) form.queries[static_cast<size_t>(i % 4)].push_back(i);
  form.keys = {form.queries};
  form.oracle = false;
  return form;
}

std::vector<GradientCase> cases() {
  const Form padded = changed(windows(), [](Form& f) {
    f.queries = {{0, 3, 4, -1}, {5, -1, 1, 2}};
    f.keys = {{{0, 3, 4, -1}, {5, -1, 1, 2}}};
  });
  const Form overlapping = changed(windows(), [](Form& f) {
    f.keys = {{{0, 3, 4, 1, 2}, {5, 1, 2, 2, 4}}};
  });  // 2 twice in a group
  return {
      make("windows", windows()),
      make("bias", changed(windows(), [](Form& f) { f.bias_heads = 2; })),
      make("bias_of_all_heads", changed(windows(), [](Form& f) { f.bias_heads = 1; })),
      make("mask", changed(windows(),
                           [](Form& f) {
                             f.mask_of = {1, -1};
                           })),
      make("bias_and_mask", changed(windows(),
                                    [](Form& f) {
                                      f.bias_heads = 2, f.mask_of = {1, 0};
                                    })),
      make("absent_keys", padded),
      make("absent_keys_bias_mask", changed(padded,
                                            [](Form& f) {
                                              f.bias_heads = 2, f.mask_of = {1, 0};
                                            })),
      make("filler", changed(padded, [](Form& f) { f.filler = true; })),
      make("filler_bias_mask", changed(padded,
                                       [](Form& f) {
                                         f.filler = true, f.bias_heads = 1, f.mask_of = {0, 1};
                                       })),
      make("overlapping", overlapping),
      make("overlapping_bias", changed(overlapping, [](Form& f) { f.bias_heads = 2; })),
      make("some_keys_unused", changed(windows(),
                                       [](Form& f) {
                                         f.keys = {{{0, 3}, {5, 2}}};
                                       })),
      make("keys_of_samples", changed(windows(),
                                      [](Form& f) {
                                        f.keys = {{{0, 1}, {2, 3}}, {{5, 0}, {4, 4}}};
                                      })),
      make("one_token", {.batch = 1, .heads = 1, .dim = 1, .tokens = 1, .queries = {{0}}, .keys = {{{0}}}}),
      make("large", large()),
      make("large_overlapping", changed(large(), [](Form& f) { f.keys[0][1] = f.keys[0][0]; })),
  };
}

VITKIT_GRADIENT_TESTS(GroupedAttentionGradient, cases());

TEST(GroupedAttention, ProbabilitiesAreThoseThatMix) {
  const Form form = changed(windows(), [](Form& f) { f.bias_heads = 2, f.mask_of = {1, -1}; });
  const std::vector<Var> v = {random_tensor({2, 6, 18}, 1), random_tensor({2, 3, 3}, 2)};
  Context ctx;
  const GroupedAttentionOptions options = options_of(form, v);
  const Tensor out = grouped_attention(ctx, {v[0], 0}, {v[0], 6}, {v[0], 12}, groups_of(form), options).value();
  const Tensor p = grouped_attention_probs(ctx, {v[0], 0}, {v[0], 6}, groups_of(form), options);
  ASSERT_EQ(p.shape(), Shape({2, 2, 6, 6}));
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 2; ++h)
      for (int64_t i = 0; i < 6; ++i)
        for (int64_t d = 0; d < 3; ++d) {
          double sum = 0.0;
          for (int64_t j = 0; j < 6; ++j)
            sum += static_cast<double>(p.f32()[((b * 2 + h) * 6 + i) * 6 + j]) *
                   v[0].value().f32()[(b * 6 + j) * 18 + 12 + h * 3 + d];
          EXPECT_NEAR(out.f32()[(b * 6 + i) * 6 + h * 3 + d], sum, 1e-5);
        }
}

TEST(GroupedAttention, AQueryThatSeesNothingGivesZeros) {
  const Tensor x = random_tensor({1, 2, 9}, 1);
  const TokenGroups groups{Tensor::from<int64_t>({0, 1}, {2, 1}), Tensor::from<int64_t>({-1, 0}, {2, 1})};
  Context ctx;
  const Tensor y = grouped_attention(ctx, {x, 0}, {x, 3}, {x, 6}, groups, {1, 3, 1.0f}).value();
  for (int64_t d = 0; d < 3; ++d) {
    EXPECT_EQ(y.f32()[d], 0.0f);
    EXPECT_EQ(y.f32()[3 + d], x.f32()[6 + d]);
  }
}

TEST(GroupedAttention, SaysWhatIsWrong) {
  const Var x = random_tensor({1, 4, 9}, 1);
  const auto run = [&](const std::vector<int64_t>& queries, const std::vector<int64_t>& keys,
                       GroupedAttentionOptions options) {
    Context ctx;
    options.heads = 1, options.head_dim = 3, options.scale = 1.0f;
    const auto half = [](const std::vector<int64_t>& v) { return Shape{2, static_cast<int64_t>(v.size() / 2)}; };
    grouped_attention(ctx, {x, 0}, {x, 3}, {x, 6},
                      {Tensor::from<int64_t>(queries, half(queries)), Tensor::from<int64_t>(keys, half(keys))},
                      options);
  };
  const std::vector<int64_t> all = {0, 1, 2, 3};
  EXPECT_NO_THROW(run(all, all, {}));
  EXPECT_THAT(test::failure([&] {
                run({0, 1, 2, 2}, all, {});
              }),
              HasSubstr("token 2 must be a query of one group, is of 2"));
  EXPECT_THAT(test::failure([&] {
                run({0, 1, 2, -1}, all, {});
              }),
              HasSubstr("token 3 must be a query of one group, is of 0"));
  EXPECT_THAT(test::failure([&] { run(all, {0, 1, 2, 4}, {}); }), HasSubstr("key is token 4 of 4"));
  EXPECT_THAT(test::failure([&] {
                run(all, all, {.bias = random_tensor({2, 2, 2}, 1)});
              }),
              HasSubstr("bias must be [1 or 1, 2, 2]"));
  EXPECT_THAT(test::failure([&] { run(all, all, {.mask = random_tensor({1, 2, 2}, 1)}); }), HasSubstr("mask_of"));
  EXPECT_THAT(test::failure([&] { run(all, all, {.filler = random_tensor({3}, 1)}); }),
              HasSubstr("filler must be [9]"));
}

}  // namespace
}  // namespace vit
