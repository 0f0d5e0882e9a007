#include "captioning/word_maps.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

#include "vit/core/check.h"

namespace captioning {

using vit::Tensor;

namespace {

/// Keeps what one name says.
class Keeper : public vit::Observer {
 public:
  explicit Keeper(std::string name) : name_(std::move(name)) {}
  bool wants(const std::string& name) override { return name == name_; }
  void observe(const std::string& name, const Tensor& value) override {
    if (wants(name)) seen_ = value.clone();
  }
  /// Errors (usage): the model did not offer it.
  const Tensor& get() const {
    if (!seen_.defined()) vit::fail_usage("the model's attention offers no '", name_, "' to look at");
    return seen_;
  }

 private:
  std::string name_;
  Tensor seen_;
};

bool is_punctuation(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::ispunct(c) != 0; });
}

/// What the attention [1, H, T, M] of row `t` gives each of M, over the heads [first, last).
std::vector<float> row_of(const Tensor& probs, int64_t t, std::array<int64_t, 2> heads) {
  const int64_t words = probs.size(2), columns = probs.size(3);
  std::vector<float> mean(static_cast<size_t>(columns), 0.0f);
  for (int64_t h = heads[0]; h < heads[1]; ++h) {
    const float* from = probs.f32() + (h * words + t) * columns;
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += from[i] / static_cast<float>(heads[1] - heads[0]);
  }
  return mean;
}

/// Adds a map to a finer one: every cell's share, divided by areas.
void add_to_finer(const float* shares, const vit::Grid& grid, Tensor& cells) {
  const int64_t rows = cells.size(0), columns = cells.size(1);
  const auto overlap = [](int64_t fine, int64_t fines, int64_t coarse, int64_t coarses) {
    // In units of 1 / (fines * coarses) of the picture.
    const int64_t from = std::max(fine * coarses, coarse * fines);
    const int64_t to = std::min((fine + 1) * coarses, (coarse + 1) * fines);
    return static_cast<double>(std::max<int64_t>(0, to - from)) / static_cast<double>(fines);
  };
  for (int64_t gy = 0; gy < grid.height; ++gy)
    for (int64_t gx = 0; gx < grid.width; ++gx)
      for (int64_t y = gy * rows / grid.height; y < rows && overlap(y, rows, gy, grid.height) > 0.0; ++y)
        for (int64_t x = gx * columns / grid.width; x < columns && overlap(x, columns, gx, grid.width) > 0.0; ++x)
          cells.f32()[y * columns + x] += static_cast<float>(
              shares[gy * grid.width + gx] * overlap(y, rows, gy, grid.height) * overlap(x, columns, gx, grid.width));
}

/// Row `t` on the finest grid.
Tensor cells_of(const Tensor& probs, const WordAttention& layout, int64_t t, std::array<int64_t, 2> heads) {
  vit::Grid finest{};
  int64_t regions = 0;
  for (const vit::Grid& grid : layout.grids) {
    finest.height = std::max(finest.height, grid.height);
    finest.width = std::max(finest.width, grid.width);
    regions += grid.height * grid.width;
  }
  vit::check(regions > 0 && layout.prefix_tokens + regions == probs.size(3), "word maps: ", probs.size(3),
             " keys are not ", layout.prefix_tokens, " tokens and ", regions, " regions");
  const std::vector<float> row = row_of(probs, t, heads);
  Tensor cells = Tensor::zeros({finest.height, finest.width});
  const float* from = row.data() + layout.prefix_tokens;
  for (const vit::Grid& grid : layout.grids) {
    add_to_finer(from, grid, cells);
    from += grid.height * grid.width;
  }
  return cells;
}

}  // namespace

std::vector<std::vector<size_t>> words_of(const Captioner& captioner, const std::vector<int64_t>& ids) {
  const Tokenizer& tokenizer = captioner.tokenizer();
  // WordPiece marks what goes on, byte pairs spell the blank in front of what begins.
  constexpr std::string_view kBlank = "\xC4\xA0", kGoesOn = "##";
  const bool word_piece = tokenizer.special().cls.has_value();
  std::vector<std::vector<size_t>> words;
  bool after_mark = false;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!captioner.is_said(ids[i])) continue;
    const std::string& piece = tokenizer.token(ids[i]);
    const bool goes_on = word_piece ? piece.starts_with(kGoesOn) : !piece.starts_with(kBlank);
    const bool mark = is_punctuation(!word_piece && !goes_on ? piece.substr(kBlank.size()) : piece);
    if (words.empty() || !goes_on || mark || after_mark) words.emplace_back();
    words.back().push_back(i);
    after_mark = mark;
  }
  return words;
}

std::vector<WordMap> word_maps(const Captioner& captioner, const vit::Image& picture, const Caption& caption,
                               const WordMapOptions& options) {
  const CaptionModel& model = captioner.model();
  const int64_t layer = vit::wanted_layer(options.layer, model.attention_layers());
  // The first id is the start, which nothing was chosen by.
  const auto steps = static_cast<int64_t>(caption.ids.size()) - 1;
  if (steps < 1) return {};
  const WordAttention layout = model.word_attention(layer);
  Keeper keeper(layout.name);
  vit::Context ctx;
  const vit::PixelBatch batch = captioner.prepare({picture});
  const vit::Var encoded = model.encode(ctx, batch.pixel_values);
  ctx.observer = &keeper;
  model.logits(ctx, encoded, Tensor::from(std::vector<int64_t>(caption.ids.begin(), caption.ids.end() - 1), {1, steps}),
               {});
  const Tensor& probs = keeper.get();
  const std::array<int64_t, 2> heads = vit::wanted_heads(options.head, probs.size(1));
  std::vector<WordMap> maps;
  for (const std::vector<size_t>& pieces : words_of(captioner, caption.ids)) {
    if (pieces.front() == 0) continue;
    WordMap& map = maps.emplace_back();
    for (const size_t at : pieces) {
      map.ids.push_back(caption.ids[at]);
      const Tensor cells = cells_of(probs, layout, static_cast<int64_t>(at) - 1, heads);
      if (!map.cells.defined()) map.cells = Tensor::zeros(cells.shape());
      for (int64_t i = 0; i < cells.numel(); ++i)
        map.cells.f32()[i] += cells.f32()[i] / static_cast<float>(pieces.size());
    }
    map.word = captioner.text_of(map.ids);
    map.window = vit::cell_window(captioner.preprocessor(), {picture.height(), picture.width()},
                                  {map.cells.size(0), map.cells.size(1)});
  }
  return maps;
}

}  // namespace captioning
