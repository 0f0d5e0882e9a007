// Gradients of moves on tensors of any rank: other orders of axes, heads, pieces, tokens by number.
#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "vit/autograd/plain_tensor.h"
#include "vit/autograd/tape.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;
using Vars = std::vector<Var>;
using Plains = std::vector<Plain>;

template <class Run, class Expression>
GradientCase move_case(const std::string& name, const std::vector<Shape>& shapes, const Run& run,
                       const Expression& expression) {
  GradientCase op{.name = name};
  for (const Shape& shape : shapes) op.inputs.push_back(random_tensor(shape, 90 + op.inputs.size()));
  op.run = run;
  op.plain = [expression](const Plains& v) { return Plain(expression(v)); };
  return op;
}

void add_permutations(std::vector<GradientCase>& all) {
  const std::vector<std::pair<Shape, std::vector<int64_t>>> forms = {
      {{7}, {0}},
      {{5, 7}, {1, 0}},
      {{2, 3, 5, 7}, {0, 2, 1, 3}},
      {{2, 3, 5, 7}, {0, 1, 3, 2}},
      {{2, 3, 5, 7}, {3, 0, 2, 1}},
      {{2, 3, 5, 7}, {-1, 2, 1, 0}},
      {{2, 3, 1, 7}, {2, 0, 3, 1}},
      {{17, 18, 3}, {2, 0, 1}},
      {{2, 2, 3, 2, 3, 5}, {0, 1, 3, 2, 4, 5}},
      {{2, 2, 3, 2, 3, 5}, {5, 4, 3, 2, 1, 0}},
  };
  for (const auto& [shape, order] : forms) {
    std::string name = "permute_";
    std::vector<size_t> axes;
    for (const int64_t axis : order) {
      axes.push_back(static_cast<size_t>(axis < 0 ? axis + shape.rank() : axis));
      name += std::to_string(axes.back());
    }
    all.push_back(move_case(
        name, {shape}, [order = order](Context& ctx, const Vars& v) { return permute(ctx, v[0], order); },
        [axes](const Plains& v) { return Plain(xt::transpose(v[0], axes)); }));
  }
  all.push_back(move_case(
      "split_heads", {{2, 5, 14}},
      [](Context& ctx, const Vars& v) {
        return split_heads(ctx, {v[0], 2}, 3, 4);
      },
      [](const Plains& v) { return plain::split_heads<double>(v[0], 2, 3, 4); }));
  all.push_back(move_case(
      "split_one_head", {{2, 5, 6}}, [](Context& ctx, const Vars& v) { return split_heads(ctx, {v[0]}, 1, 6); },
      [](const Plains& v) { return v[0]; }));
  all.push_back(move_case(
      "merge_heads", {{2, 3, 5, 4}}, [](Context& ctx, const Vars& v) { return merge_heads(ctx, v[0]); },
      [](const Plains& v) { return plain::merge_heads<double>(v[0]); }));
  all.push_back(move_case(
      "split_then_merge", {{2, 5, 12}},
      [](Context& ctx, const Vars& v) { return merge_heads(ctx, split_heads(ctx, {v[0]}, 3, 4)); },
      [](const Plains& v) { return v[0]; }));
}

void add_pieces(std::vector<GradientCase>& all) {
  for (const int64_t axis : {0, 1, 2, -1}) {
    const auto at = static_cast<size_t>(axis < 0 ? 2 : axis);
    const std::string suffix = "_" + std::to_string(at) + (axis < 0 ? "_from_end" : "");
    all.push_back(move_case(
        "slice" + suffix, {{4, 5, 6}}, [axis](Context& ctx, const Vars& v) { return slice(ctx, v[0], axis, 1, 3); },
        [at](const Plains& v) { return plain::slice<double>(v[0], at, 1, 3); }));
    std::vector<Shape> shapes;
    for (const int64_t extent : {3, 1, 4}) {
      std::vector<int64_t> extents = {2, 3, 5};
      extents[at] = extent;
      shapes.emplace_back(extents);
    }
    all.push_back(move_case(
        "concat" + suffix, shapes, [axis](Context& ctx, const Vars& v) { return concat(ctx, v, axis); },
        [at](const Plains& v) { return plain::concat<double>(plain::concat<double>(v[0], v[1], at), v[2], at); }));
  }
  all.push_back(move_case(
      "concat_one", {{2, 3}}, [](Context& ctx, const Vars& v) { return concat(ctx, v, 0); },
      [](const Plains& v) { return v[0]; }));
}

void add_indices(std::vector<GradientCase>& all) {
  const std::vector<int64_t> shared = {3, -1, 0, 3, -1, 2};
  const std::vector<int64_t> own = {3, -1, 0, 3, 1, 1, 0, -1, -1, 2, 2, 2};
  const std::vector<std::vector<int64_t>> shared_rows = {shared, shared};
  const std::vector<std::vector<int64_t>> own_rows = {{own.begin(), own.begin() + 6}, {own.begin() + 6, own.end()}};
  for (const bool each : {false, true}) {
    const Tensor index = each ? Tensor::from(own, {2, 6}) : Tensor::from(shared, {6});
    const auto rows = each ? own_rows : shared_rows;
    const std::string suffix = each ? "_each" : "";
    all.push_back(move_case(
        "gather" + suffix, {{2, 4, 5}},
        [index](Context& ctx, const Vars& v) { return gather_tokens(ctx, v[0], index); },
        [rows](const Plains& v) { return plain::gather_tokens<double>(v[0], rows, Plain(xt::zeros<double>({5}))); }));
    all.push_back(move_case(
        "gather_filled" + suffix, {{2, 4, 5}, {5}},
        [index](Context& ctx, const Vars& v) { return gather_tokens(ctx, v[0], index, v[1]); },
        [rows](const Plains& v) { return plain::gather_tokens<double>(v[0], rows, v[1]); }));
    all.push_back(move_case(
        "scatter" + suffix, {{2, 6, 5}},
        [index](Context& ctx, const Vars& v) { return scatter_tokens(ctx, v[0], index, 4); },
        [rows](const Plains& v) { return plain::scatter_tokens<double>(v[0], rows, 4); }));
  }
}

void add_large(std::vector<GradientCase>& all) {
  const auto large = [&](const std::string& name, const std::vector<Shape>& shapes, const auto& run) {
    all.push_back(move_case(name + "_large", shapes, run, [](const Plains& v) { return v[0]; }));
    all.back().plain = nullptr;
  };
  large("permute_rows", {{3, 90, 7, 33}}, [](Context& ctx, const Vars& v) { return permute(ctx, v[0], {0, 2, 1, 3}); });
  large("permute_transpose", {{3, 190, 133}}, [](Context& ctx, const Vars& v) {
    return permute(ctx, v[0], {0, 2, 1});
  });
  large("permute_elements", {{40, 30, 20, 3}}, [](Context& ctx, const Vars& v) {
    return permute(ctx, v[0], {3, 1, 2, 0});
  });
  large("split_heads", {{2, 197, 576}}, [](Context& ctx, const Vars& v) {
    return split_heads(ctx, {v[0], 192}, 3, 64);
  });
  large("concat", {{2, 150, 90}, {2, 60, 90}}, [](Context& ctx, const Vars& v) { return concat(ctx, v, 1); });
  std::vector<int64_t> numbers(2000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int64_t>(i * 7 % 101) - 1;
  const Tensor index = Tensor::from(numbers, {4, 500});
  large("gather", {{4, 100, 40}, {40}},
        [index](Context& ctx, const Vars& v) { return gather_tokens(ctx, v[0], index, v[1]); });
  large("scatter", {{4, 500, 40}},
        [index](Context& ctx, const Vars& v) { return scatter_tokens(ctx, v[0], index, 100); });
}

std::vector<GradientCase> cases() {
  std::vector<GradientCase> all;
  add_permutations(all);
  add_pieces(all);
  add_indices(all);
  add_large(all);
  return all;
}

VITKIT_GRADIENT_TESTS(MovesGradient, cases());

}  // namespace
}  // namespace vit
