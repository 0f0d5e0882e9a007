// Gradients of the ops on tensors of any rank (elementwise, products, reductions) against finite differences of their
// plain definitions.
#include <gtest/gtest.h>

#include <algorithm>

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
GradientCase tensor_case(const std::string& name, const std::vector<Shape>& shapes, const Run& run,
                         const Expression& expression) {
  GradientCase op{.name = name};
  for (const Shape& shape : shapes) op.inputs.push_back(random_tensor(shape, 70 + op.inputs.size()));
  op.run = run;
  op.plain = [expression](const Plains& v) { return Plain(expression(v)); };
  return op;
}

/// Without an oracle: same bits on any threads, and each input alone.
template <class Run>
GradientCase large_case(const std::string& name, const std::vector<Shape>& shapes, const Run& run) {
  GradientCase op = tensor_case(name + "_large", shapes, run, [](const Plains& v) { return v[0]; });
  op.plain = nullptr;
  return op;
}

/// |x| + 1/2: away from zero, where quotients and logarithms are steep.
Tensor positive(Tensor x) {
  for (float& v : x.span<float>()) v = std::abs(v) + 0.5f;
  return x;
}

void add_binaries(std::vector<GradientCase>& all) {
  const std::vector<std::tuple<std::string, Shape, Shape>> forms = {
      {"same", {3, 5, 7}, {3, 5, 7}},
      {"scalar", {3, 5, 7}, {1}},
      {"row", {3, 5, 7}, {7}},
      {"column", {3, 5, 7}, {3, 5, 1}},
      {"middle", {3, 5, 7}, {3, 1, 7}},
      {"batch", {3, 5, 7}, {1, 5, 7}},
      {"both", {3, 1, 7}, {5, 1}},
      {"left_smaller", {5, 1}, {2, 3, 5, 4}},
      {"heads", {2, 3, 4, 5}, {1, 3, 1, 1}},
      {"outer_and_inner", {2, 3, 4}, {1, 3, 1}},
      {"six_axes", {2, 1, 3, 1, 2, 1}, {1, 2, 1, 2, 1, 3}},
  };
  for (const auto& [form, left, right] : forms) {
    all.push_back(tensor_case(
        "add_" + form, {left, right}, [](Context& ctx, const Vars& v) { return add(ctx, v[0], v[1]); },
        [](const Plains& v) { return v[0] + v[1]; }));
    all.push_back(tensor_case(
        "subtract_" + form, {left, right}, [](Context& ctx, const Vars& v) { return subtract(ctx, v[0], v[1]); },
        [](const Plains& v) { return v[0] - v[1]; }));
    all.push_back(tensor_case(
        "multiply_" + form, {left, right}, [](Context& ctx, const Vars& v) { return multiply(ctx, v[0], v[1]); },
        [](const Plains& v) { return v[0] * v[1]; }));
    all.push_back(tensor_case(
        "divide_" + form, {left, right}, [](Context& ctx, const Vars& v) { return divide(ctx, v[0], v[1]); },
        [](const Plains& v) { return v[0] / v[1]; }));
    all.back().inputs[1] = positive(all.back().inputs[1]);
  }
  const auto product = [](Context& ctx, const Vars& v) { return multiply(ctx, v[0], v[1]); };
  all.push_back(large_case("multiply_row", {{900, 70}, {70}}, product));
  all.push_back(large_case("multiply_column", {{70, 900}, {70, 1}}, product));
  all.push_back(large_case("multiply_long_rows", {{3, 40000}, {40000}}, product));
  all.push_back(large_case("multiply_outer", {{300, 1}, {1, 300}}, product));
  all.push_back(large_case("divide_scalar", {{300, 300}, {1}},
                           [](Context& ctx, const Vars& v) { return divide(ctx, v[0], exp(ctx, v[1])); }));
}

void add_unaries(std::vector<GradientCase>& all) {
  const auto one = [&](const std::string& name, auto run, auto expression) {
    all.push_back(tensor_case(
        name, {{3, 37}}, [run](Context& ctx, const Vars& v) { return run(ctx, v[0]); },
        [expression](const Plains& v) { return expression(v[0]); }));
  };
  one("exp", vit::exp, [](const Plain& x) { return Plain(xt::exp(x)); });
  one("square", vit::square, [](const Plain& x) { return Plain(x * x); });
  one("elu_plus_one", elu_plus_one, [](const Plain& x) { return plain::elu_plus_one<double>(x); });
  one(
      "shift", [](Context& ctx, const Var& x) { return shift(ctx, x, 0.75f); },
      [](const Plain& x) { return Plain(x + 0.75); });
  const size_t first_positive = all.size();
  one("log", vit::log, [](const Plain& x) { return Plain(xt::log(x)); });
  one("sqrt", vit::sqrt, [](const Plain& x) { return Plain(xt::sqrt(x)); });
  one("reciprocal", reciprocal, [](const Plain& x) { return Plain(1.0 / x); });
  for (size_t i = first_positive; i < all.size(); ++i) all[i].inputs[0] = positive(all[i].inputs[0]);
  all.push_back(large_case("exp", {{40, 1000}}, [](Context& ctx, const Vars& v) { return exp(ctx, v[0]); }));
}

void add_products(std::vector<GradientCase>& all) {
  struct Form {
    std::string name;
    Shape batch_a, batch_b;
    int64_t m, n, k;
  };
  const std::vector<Form> forms = {
      {"one", {}, {}, 5, 7, 3},
      {"batch", {4}, {4}, 5, 9, 6},
      {"right_shared", {3}, {}, 4, 6, 5},
      {"left_shared", {}, {3}, 4, 6, 5},
      {"batch_and_heads", {2, 3}, {2, 3}, 7, 5, 4},
      {"heads_shared", {2, 3}, {2, 1}, 7, 5, 4},
      {"both_repeated", {2, 1}, {1, 3}, 3, 4, 5},
      {"row", {2}, {2}, 1, 6, 5},
      {"column", {2}, {2}, 6, 1, 5},
      {"outer", {2}, {2}, 6, 5, 1},
  };
  const auto shape = [](const Shape& batch, int64_t rows, int64_t cols, bool transposed) {
    std::vector<int64_t> extents(batch.begin(), batch.end());
    extents.insert(extents.end(), {transposed ? cols : rows, transposed ? rows : cols});
    return Shape(extents);
  };
  for (const Form& form : forms) {
    for (const int flags : {0, 1, 2, 3}) {
      const MatmulOptions options{
          .transpose_a = (flags & 1) != 0, .transpose_b = (flags & 2) != 0, .scale = flags == 0 ? 1.0f : 0.7f};
      const std::string name =
          "matmul_" + form.name + (options.transpose_a ? "_ta" : "") + (options.transpose_b ? "_tb" : "");
      all.push_back(tensor_case(
          name,
          {shape(form.batch_a, form.m, form.k, options.transpose_a),
           shape(form.batch_b, form.k, form.n, options.transpose_b)},
          [options](Context& ctx, const Vars& v) { return matmul(ctx, v[0], v[1], options); },
          [options](const Plains& v) {
            const Plain a = options.transpose_a ? plain::matrix_transposed<double>(v[0]) : v[0];
            const Plain b = options.transpose_b ? plain::matrix_transposed<double>(v[1]) : v[1];
            return Plain(static_cast<double>(options.scale) * plain::batched_matmul<double>(a, b));
          }));
    }
  }
  for (const int flags : {0, 1, 2, 3}) {
    const MatmulOptions options{.transpose_a = (flags & 1) != 0, .transpose_b = (flags & 2) != 0, .scale = 0.7f};
    const auto run = [options](Context& ctx, const Vars& v) { return matmul(ctx, v[0], v[1], options); };
    const auto add = [&](const std::string& form, const Shape& batch_a, const Shape& batch_b, int64_t m, int64_t n,
                         int64_t k) {
      all.push_back(large_case("matmul_" + form + std::to_string(flags),
                               {shape(batch_a, m, k, options.transpose_a), shape(batch_b, k, n, options.transpose_b)},
                               run));
    };
    add("many", {2, 6}, {2, 6}, 70, 65, 33);
    add("few", {2}, {}, 250, 70, 130);
    add("wide", {2}, {}, 7, 2100, 9);
  }
}

void add_reductions(std::vector<GradientCase>& all) {
  const std::vector<std::vector<int64_t>> forms = {{}, {0}, {1}, {-1}, {0, 1}, {1, 2}, {0, 2}, {-1, 0, 1, 2}, {3, 1}};
  for (const std::vector<int64_t>& axes : forms) {
    std::string name;
    std::vector<size_t> positive_axes;
    for (const int64_t axis : axes) {
      positive_axes.push_back(static_cast<size_t>(axis < 0 ? axis + 4 : axis));
      name += std::to_string(positive_axes.back());
    }
    if (axes.empty()) positive_axes = {0, 1, 2, 3};
    std::sort(positive_axes.begin(), positive_axes.end());
    for (const bool keep : {false, true}) {
      const std::string suffix = "_" + name + (keep ? "keep" : "");
      const Shape shape{3, 4, 2, 5};
      all.push_back(tensor_case(
          "sum" + suffix, {shape}, [axes, keep](Context& ctx, const Vars& v) { return sum(ctx, v[0], axes, keep); },
          [positive_axes](const Plains& v) { return xt::sum(v[0], positive_axes); }));
      all.push_back(tensor_case(
          "mean" + suffix, {shape}, [axes, keep](Context& ctx, const Vars& v) { return mean(ctx, v[0], axes, keep); },
          [positive_axes](const Plains& v) { return xt::mean(v[0], positive_axes); }));
      all.push_back(tensor_case(
          "amax" + suffix, {shape}, [axes, keep](Context& ctx, const Vars& v) { return amax(ctx, v[0], axes, keep); },
          [positive_axes](const Plains& v) { return xt::amax(v[0], positive_axes); }));
    }
  }
  const auto add_large = [&](const std::string& name, const Shape& shape, const std::vector<int64_t>& axes) {
    all.push_back(
        large_case("sum_" + name, {shape}, [axes](Context& ctx, const Vars& v) { return sum(ctx, v[0], axes); }));
    all.push_back(
        large_case("amax_" + name, {shape}, [axes](Context& ctx, const Vars& v) { return amax(ctx, v[0], axes); }));
  };
  add_large("all", {70, 1000}, {});
  add_large("rows", {700, 100}, {1});
  add_large("columns", {700, 100}, {0});
  add_large("few_long_columns", {3, 20000}, {0});
  add_large("middle", {5, 300, 40}, {1});
  add_large("outer_and_inner", {20, 30, 60}, {0, 2});
}

void add_normalisations(std::vector<GradientCase>& all) {
  for (const int64_t axis : {0, 1, 2, -1}) {
    const auto positive_axis = static_cast<size_t>(axis < 0 ? 2 : axis);
    const std::string suffix = "_" + std::to_string(positive_axis) + (axis < 0 ? "_from_end" : "");
    all.push_back(tensor_case(
        "softmax" + suffix, {{3, 4, 5}}, [axis](Context& ctx, const Vars& v) { return softmax(ctx, v[0], axis); },
        [positive_axis](const Plains& v) { return plain::softmax_along<double>(v[0], positive_axis); }));
    all.push_back(tensor_case(
        "l2_normalize" + suffix, {{3, 4, 5}},
        [axis](Context& ctx, const Vars& v) { return l2_normalize(ctx, v[0], axis); },
        [positive_axis](const Plains& v) { return plain::l2_normalize<double>(v[0], positive_axis, 1e-12); }));
  }
  all.push_back(tensor_case(
      "l2_normalize_short", {{3, 4, 5}}, [](Context& ctx, const Vars& v) { return l2_normalize(ctx, v[0], 1, 50.0f); },
      [](const Plains& v) { return plain::l2_normalize<double>(v[0], 1, 50.0); }));
  for (const int64_t axis : {0, 1, 2}) {
    all.push_back(large_case("softmax_" + std::to_string(axis), {{30, 40, 50}},
                             [axis](Context& ctx, const Vars& v) { return softmax(ctx, v[0], axis); }));
  }
}

std::vector<GradientCase> cases() {
  std::vector<GradientCase> all;
  add_binaries(all);
  add_unaries(all);
  add_products(all);
  add_reductions(all);
  add_normalisations(all);
  return all;
}

VITKIT_GRADIENT_TESTS(TensorGradient, cases());

}  // namespace
}  // namespace vit
