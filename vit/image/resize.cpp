#include "vit/image/resize.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "vit/core/names.h"
#include "vit/image/resize_passes.h"
#include "vit/image/resize_weights.h"

namespace vit {

namespace {

constexpr std::array<std::pair<Filter, const char*>, 6> kFilterNames = {{{Filter::kNearest, "nearest"},
                                                                         {Filter::kLanczos, "lanczos"},
                                                                         {Filter::kBilinear, "bilinear"},
                                                                         {Filter::kBicubic, "bicubic"},
                                                                         {Filter::kBox, "box"},
                                                                         {Filter::kHamming, "hamming"}}};

/// Extents that are only computed with may be large (a 1 x 60,000 strip scaled to width 224); what is allocated may
/// not.
constexpr int64_t kMaxExtent = int64_t{1} << 30;
constexpr int64_t kMaxPixels = int64_t{1} << 28;

struct Plan {
  SourceBox box;
  Window window;
};

Plan check_options(const Image& source, const ResizeOptions& options) {
  check(source.defined(), "resize: the source is undefined");
  const int64_t height = options.height, width = options.width;
  check(height >= 1 && height <= kMaxExtent && width >= 1 && width <= kMaxExtent, "resize: expected extents of 1 to ",
        kMaxExtent, ", got ", height, " x ", width);
  const auto source_height = static_cast<float>(source.height()), source_width = static_cast<float>(source.width());
  const SourceBox box = options.box.value_or(SourceBox{0, 0, source_width, source_height});
  check(box.left >= 0 && box.top >= 0 && box.right <= source_width && box.bottom <= source_height &&
            box.right > box.left && box.bottom > box.top,
        "resize: the box [", box.left, ", ", box.top, ", ", box.right, ", ", box.bottom, "] does not lie within ",
        source.width(), " x ", source.height());
  const Window window = options.window.value_or(Window{0, 0, height, width});
  check(window.top >= 0 && window.left >= 0 && window.height >= 1 && window.width >= 1 && window.height <= height &&
            window.width <= width && window.top <= height - window.height && window.left <= width - window.width,
        "resize: the window ", window.height, " x ", window.width, " at (", window.top, ", ", window.left,
        ") does not lie within ", height, " x ", width);
  check(window.height <= kMaxPixels / window.width, "resize: ", window.height, " x ", window.width,
        " pixels are too many");
  return {box, window};
}

/// Source index of every wanted output, by Pillow's running sum (ImagingScaleAffine).
std::vector<int64_t> nearest_indices(double box_begin, double box_end, int64_t result, int64_t begin, int64_t end,
                                     int64_t source) {
  std::vector<int64_t> indices;
  const double step = static_cast<float>(box_end - box_begin) / static_cast<double>(result);
  double position = box_begin + step * 0.5;
  for (int64_t i = 0; i < end; ++i, position += step)
    if (i >= begin) indices.push_back(std::min(static_cast<int64_t>(position), source - 1));
  return indices;
}

Image resize_nearest(const Image& source, const ResizeOptions& options, const Plan& plan) {
  const auto& [box, window] = plan;
  const std::vector<int64_t> columns =
      nearest_indices(box.left, box.right, options.width, window.left, window.left + window.width, source.width());
  const std::vector<int64_t> lines =
      nearest_indices(box.top, box.bottom, options.height, window.top, window.top + window.height, source.height());
  Image result(window.height, window.width);
  for (int64_t y = 0; y < window.height; ++y) {
    const uint8_t* from = source.row(lines[static_cast<size_t>(y)]);
    uint8_t* to = result.row(y);
    for (const int64_t x : columns) {
      for (int c = 0; c < 3; ++c) to[c] = from[3 * x + c];
      to += 3;
    }
  }
  return result;
}

/// Rows [begin, end) of the source with columns filtered -> rows of `stride` bytes.
void filter_columns(uint8_t* rows, int64_t stride, const Image& source, int64_t begin, int64_t end,
                    const detail::AxisWeights& weights) {
  const int64_t pairs_begin = weights.source_begin & ~int64_t{1};
  const int64_t pairs_count = (weights.source_end - pairs_begin + 1) / 2;
  const Tensor buffer = Tensor::empty({detail::kRowsAtOnce, pairs_count * detail::kPairBytes / 2}, DType::i16);
  std::vector<uint8_t> spare(static_cast<size_t>(stride));
  std::array<int16_t*, detail::kRowsAtOnce> pairs{};
  for (int64_t r = 0; r < detail::kRowsAtOnce; ++r)
    pairs[static_cast<size_t>(r)] = buffer.data<int16_t>() + r * pairs_count * detail::kPairBytes / 2;
  for (int64_t y = begin; y < end; y += detail::kRowsAtOnce) {
    std::array<uint8_t*, detail::kRowsAtOnce> targets{};
    for (int64_t r = 0; r < detail::kRowsAtOnce; ++r) {
      const auto i = static_cast<size_t>(r);
      // The last group may be short: its missing rows repeat the last one and are thrown away.
      const int64_t from = std::min(y + r, end - 1);
      detail::spread_pairs(pairs[i], source.row(from), pairs_begin, weights.source_end, source.width());
      targets[i] = y + r < end ? rows + (y + r - begin) * stride : spare.data();
    }
    detail::horizontal_pass(targets.data(), pairs.data(), pairs_begin, pairs_count, weights);
    // A row's last pixel writes one byte behind it, which is within the stride.
  }
}

Image resize_filtered(const Image& source, const ResizeOptions& options, const Plan& plan) {
  const auto& [box, window] = plan;
  const bool columns_differ =
      options.width != source.width() || box.left != 0 || box.right != static_cast<float>(source.width());
  const bool rows_differ =
      options.height != source.height() || box.top != 0 || box.bottom != static_cast<float>(source.height());
  const detail::Axis rows{source.height(), box.top, box.bottom, options.height, window.top, window.top + window.height};
  const detail::Axis columns{source.width(), box.left,    box.right,
                             options.width,  window.left, window.left + window.width};
  detail::AxisWeights vertical;
  int64_t begin = window.top, end = window.top + window.height;  // source rows that are needed
  if (rows_differ) {
    vertical = detail::make_weights(rows, options.filter, false);
    begin = vertical.source_begin;
    end = vertical.source_end;
  }
  const int64_t bytes = window.width * 3;
  // The intermediate picture: columns done, rows still those of the source. Without a column filter it is the source.
  const uint8_t* between = source.row(begin) + window.left * 3;
  int64_t stride = source.width() * 3;
  Tensor buffer;
  if (columns_differ) {
    stride = (bytes + 1 + 15) / 16 * 16;
    buffer = Tensor::empty({end - begin, stride}, DType::u8);
    filter_columns(buffer.data<uint8_t>(), stride, source, begin, end,
                   detail::make_weights(columns, options.filter, true));
    between = buffer.data<uint8_t>();
  }
  Image result(window.height, window.width);
  for (int64_t y = 0; y < window.height; ++y) {
    if (rows_differ)
      detail::vertical_pass(result.row(y), between, stride, begin, end - begin, bytes, vertical, y);
    else
      std::memcpy(result.row(y), between + y * stride, static_cast<size_t>(bytes));
  }
  return result;
}

}  // namespace

const char* name_of(Filter filter) {
  for (const auto& [known, name] : kFilterNames)
    if (known == filter) return name;
  return "unknown";
}

Filter filter_from_name(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [filter, known] : kFilterNames) {
    if (name == known) return filter;
    names.emplace_back(known);
  }
  fail_usage("unknown interpolation '", name, "'", did_you_mean(name, names), "; known: ", joined(names));
}

Image resize(const Image& source, const ResizeOptions& options) {
  const Plan plan = check_options(source, options);
  return options.filter == Filter::kNearest ? resize_nearest(source, options, plan)
                                            : resize_filtered(source, options, plan);
}

}  // namespace vit
