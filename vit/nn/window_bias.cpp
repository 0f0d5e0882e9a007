#include "vit/nn/window_bias.h"

#include <algorithm>
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

/// "" where a window is small enough.
std::string complaint(const std::array<int64_t, 2>& window) {
  const auto [height, width] = window;
  // Divided, so that no product overflows.
  if (width <= 0 || height <= kMaxWindowTokens / width) return {};
  return str("a window of ", height, " x ", width, " is too large: expected at most ", kMaxWindowTokens,
             " tokens (64 x 64)");
}

void require_size(const std::array<int64_t, 2>& window) {
  if (const std::string message = complaint(window); !message.empty()) fail_usage(message);
}

}  // namespace

std::array<int64_t, 2> read_window(const ConfigNode& node) {
  const FieldRule extent = between(1, kMaxWindowTokens);
  std::array<int64_t, 2> window{};
  if (node.is_list()) {
    config_detail::read_value(node, window, extent);
  } else {
    config_detail::read_value(node, window[0], extent);
    window[1] = window[0];
  }
  if (const std::string message = complaint(window); !message.empty()) node.refuse(message);
  return window;
}

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
  require_size(options.window);
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
  require_size(window);
  if (table_.value.defined()) table_.value = Var(resample_window_bias(table_.value.value(), window, options_.window));
  options_.window = window;
  if (options_.kind == WindowBiasKind::bias || options_.kind == WindowBiasKind::bias_tf) table_.shape = table_shape();
  if (ready_.defined()) prepare();
}

namespace {

/// Places of `count` ways, symmetric around 0, of which the outermost of `wanted` is about the last: 0, 1, 1 + q,
/// 1 + q + q^2, ... The ratio q is found by bisection between the bounds that BEiT's code has.
std::vector<double> geometric_places(int64_t count, int64_t wanted) {
  double left = 1.01, right = 1.5, ratio = left;
  const int64_t each_side = count / 2, wanted_side = wanted / 2;
  while (right - left > 1e-6) {
    ratio = (left + right) / 2.0;
    const double reach = (1.0 - std::pow(ratio, static_cast<double>(each_side))) / (1.0 - ratio);
    (reach > static_cast<double>(wanted_side) ? right : left) = ratio;
  }
  std::vector<double> places = {0.0};
  for (int64_t i = 0; i < each_side; ++i) places.push_back(places.back() + std::pow(ratio, i));
  std::vector<double> all(places.rbegin(), places.rend() - 1);
  for (double& place : all) place = -place;
  all.insert(all.end(), places.begin(), places.end());
  return all;
}

/// Where a new way reads among the old ones: between two neighbours, or at the outermost.
struct Between {
  int64_t lower, upper;
  double share;  ///< of the upper one
};
std::vector<Between> reading(int64_t count, int64_t wanted) {
  const std::vector<double> places = geometric_places(count, wanted);
  std::vector<Between> all;
  for (int64_t way = -(wanted / 2); way <= wanted / 2; ++way) {
    const double at = std::clamp(static_cast<double>(way), places.front(), places.back());
    const int64_t upper = std::lower_bound(places.begin(), places.end(), at) - places.begin();
    const int64_t lower = std::max<int64_t>(0, upper - 1);
    const double low = places[static_cast<size_t>(lower)], high = places[static_cast<size_t>(upper)];
    all.push_back({lower, upper, upper > lower ? (at - low) / (high - low) : 0.0});
  }
  return all;
}

}  // namespace

Tensor resample_window_bias(const Tensor& table, const std::array<int64_t, 2>& window,
                            std::optional<std::array<int64_t, 2>> from) {
  const bool flat = table.rank() == 2;
  check(flat || table.rank() == 3, "window bias: expected a table [ways, H] or [H, rows, columns], got ",
        table.shape());
  const int64_t to_h = 2 * window[0] - 1, to_w = 2 * window[1] - 1;
  const int64_t ways = flat ? table.size(0) : table.size(1) * table.size(2);
  int64_t from_h = flat ? std::llround(std::sqrt(static_cast<double>(ways))) : table.size(1);
  int64_t from_w = flat ? from_h : table.size(2);
  if (from) from_h = 2 * (*from)[0] - 1, from_w = 2 * (*from)[1] - 1;
  check(from_h * from_w == ways && from_h % 2 == 1 && from_w % 2 == 1, "window bias: a table ", table.shape(),
        " is not that of a ", from ? "window of that size" : "square window");
  if (from_h == to_h && from_w == to_w) return table.clone();
  const int64_t heads = flat ? table.size(1) : table.size(0);
  const std::vector<Between> rows = reading(from_h, to_h), columns = reading(from_w, to_w);
  Tensor resampled = flat ? Tensor::empty({to_h * to_w, heads}) : Tensor::empty({heads, to_h, to_w});
  for (int64_t head = 0; head < heads; ++head) {
    const auto value = [&](int64_t row, int64_t column) {
      const int64_t way = row * from_w + column;
      return static_cast<double>(table.f32()[flat ? way * heads + head : head * ways + way]);
    };
    for (int64_t i = 0; i < to_h; ++i) {
      for (int64_t j = 0; j < to_w; ++j) {
        const Between &row = rows[static_cast<size_t>(i)], &column = columns[static_cast<size_t>(j)];
        const auto along = [&](int64_t at) {
          return (1.0 - column.share) * value(at, column.lower) + column.share * value(at, column.upper);
        };
        const int64_t way = i * to_w + j;
        resampled.f32()[flat ? way * heads + head : head * to_h * to_w + way] =
            static_cast<float>((1.0 - row.share) * along(row.lower) + row.share * along(row.upper));
      }
    }
  }
  return resampled;
}

}  // namespace vit
