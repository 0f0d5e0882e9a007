#include "vit/nn/window_bias.h"

#include <cmath>

#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

constexpr float kHiddenDropout = 0.125f;  // of the MLP's hidden values in training, as timm has it

/// Number of the table's row for each pair of query and key: i64 [h * w * h * w].
Tensor pair_index(const std::array<int64_t, 2>& window, bool query_to_key) {
  const auto [height, width] = window;
  const int64_t tokens = height * width;
  Tensor index = Tensor::empty({tokens * tokens}, DType::i64);
  int64_t* at = index.data<int64_t>();
  for (int64_t query = 0; query < tokens; ++query) {
    for (int64_t key = 0; key < tokens; ++key) {
      int64_t down = query / width - key / width, right = query % width - key % width;
      if (query_to_key) down = -down, right = -right;
      *at++ = (down + height - 1) * (2 * width - 1) + right + width - 1;
    }
  }
  return index;
}

/// sign(d) log(1 + |d|) of every way inside the window: [(2h - 1)(2w - 1), 2].
Tensor log_coordinates(const std::array<int64_t, 2>& window) {
  const auto scaled = [](int64_t way) {
    const auto length = std::log(1.0f + static_cast<float>(std::abs(way)));
    return way < 0 ? -length : length;
  };
  std::vector<float> values;
  for (int64_t down = 1 - window[0]; down < window[0]; ++down)
    for (int64_t right = 1 - window[1]; right < window[1]; ++right)
      values.insert(values.end(), {scaled(down), scaled(right)});
  return Tensor::from(values, {static_cast<int64_t>(values.size()) / 2, 2});
}

}  // namespace

const std::vector<std::pair<WindowBiasKind, std::string>>& enum_names(WindowBiasKind) {
  static const std::vector<std::pair<WindowBiasKind, std::string>> names = {{WindowBiasKind::none, "none"},
                                                                            {WindowBiasKind::bias, "bias"},
                                                                            {WindowBiasKind::bias_tf, "bias_tf"},
                                                                            {WindowBiasKind::mlp, "mlp"}};
  return names;
}

WindowBias::WindowBias(const WindowBiasOptions& options) : options_(options) {
  check(options.window[0] > 0 && options.window[1] > 0 && options.heads > 0,
        "window bias: expected a window and heads, got ", options.window[0], " x ", options.window[1], " and ",
        options.heads);
  switch (options.kind) {
    case WindowBiasKind::none:
      break;
    case WindowBiasKind::bias:
    case WindowBiasKind::bias_tf:
      add_parameter("relative_position_bias_table", table_, table_shape(), Init::truncated_normal(0.02f));
      break;
    case WindowBiasKind::mlp:
      add_parameter("mlp.fc1.weight", fc1_weight_, {options.hidden, 2}, Init::uniform(std::sqrt(0.5f)));
      add_parameter("mlp.fc1.bias", fc1_bias_, {options.hidden}, Init::uniform(std::sqrt(0.5f)));
      add_parameter("mlp.fc2.weight", fc2_weight_, {options.heads, options.hidden}, Init::truncated_normal(0.02f));
      add_parameter("mlp.fc2.bias", fc2_bias_, {options.heads}, Init::zeros());
      break;
  }
}

Shape WindowBias::table_shape() const {
  const int64_t rows = 2 * options_.window[0] - 1, cols = 2 * options_.window[1] - 1;
  if (options_.kind == WindowBiasKind::bias_tf) return {options_.heads, rows, cols};
  return {rows * cols, options_.heads};
}

/// One row per way: [(2h - 1)(2w - 1), H].
Var WindowBias::entries(Context& ctx) const {
  if (options_.kind == WindowBiasKind::bias) return table_.value;
  if (options_.kind == WindowBiasKind::bias_tf) {
    const int64_t ways = table_.value.value().numel() / options_.heads;
    return permute(ctx, reshape(ctx, table_.value, {options_.heads, ways}), {1, 0});
  }
  const PackedWeight unpacked;
  const Var hidden = linear(ctx, log_coordinates(options_.window), {fc1_weight_.value, unpacked}, fc1_bias_.value,
                            {.activation = Activation::relu});
  return linear(ctx, dropout(ctx, hidden, kHiddenDropout), {fc2_weight_.value, unpacked}, fc2_bias_.value);
}

Var WindowBias::forward(Context& ctx) const {
  if (options_.kind == WindowBiasKind::none) return {};
  if (ready_.defined()) return ready_;
  const int64_t tokens = options_.window[0] * options_.window[1];
  const Tensor index = pair_index(options_.window, options_.kind == WindowBiasKind::bias_tf);
  const Var pairs = embedding(ctx, entries(ctx), index);
  return reshape(ctx, permute(ctx, pairs, {1, 0}), {options_.heads, tokens, tokens});
}

void WindowBias::prepare() {
  if (options_.kind == WindowBiasKind::none) return;
  Context ctx;
  ready_ = Tensor();
  ready_ = forward(ctx).value().clone();
}

void WindowBias::set_window(const std::array<int64_t, 2>& window) {
  if (window == options_.window) return;
  if (table_.value.defined()) table_.value = Var(resample_window_bias(table_.value.value(), window, options_.window));
  options_.window = window;
  if (options_.kind == WindowBiasKind::bias || options_.kind == WindowBiasKind::bias_tf) table_.shape = table_shape();
  if (ready_.defined()) prepare();
}

Tensor resample_window_bias(const Tensor& table, const std::array<int64_t, 2>& window,
                            std::optional<std::array<int64_t, 2>> from) {
  const bool flat = table.rank() == 2;
  check(flat || table.rank() == 3, "window bias: expected a table [ways, H] or [H, rows, columns], got ",
        table.shape());
  const int64_t to_h = 2 * window[0] - 1, to_w = 2 * window[1] - 1;
  const int64_t ways_count = flat ? table.size(0) : table.size(1) * table.size(2);
  int64_t from_h = flat ? std::llround(std::sqrt(static_cast<double>(ways_count))) : table.size(1);
  int64_t from_w = flat ? from_h : table.size(2);
  if (from) from_h = 2 * (*from)[0] - 1, from_w = 2 * (*from)[1] - 1;
  check(from_h * from_w == ways_count, "window bias: a table ", table.shape(), " is not that of a ",
        from ? "window of that size" : "square window");
  Context ctx;
  const int64_t heads = flat ? table.size(1) : table.size(0);
  const Var ways = flat ? Var(table) : permute(ctx, table.view({heads, from_h * from_w}), {1, 0});
  const Var resampled = resample_grid(ctx, reshape(ctx, ways, {1, from_h * from_w, heads}), 0, from_h, from_w, to_h,
                                      to_w, Interpolation::bicubic);
  const Var rows = reshape(ctx, resampled, {to_h * to_w, heads});
  if (flat) return rows.value().clone();
  return reshape(ctx, permute(ctx, rows, {1, 0}), {heads, to_h, to_w}).value().clone();
}

}  // namespace vit
