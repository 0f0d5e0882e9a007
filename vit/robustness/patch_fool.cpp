// Patch-Fool (Fu et al. 2022, "Patch-Fool: are vision transformers always robust against adversarial perturbations?"):
// the model's own patch that the other tokens look at most becomes whatever fools the model, and draws attention to
// itself. Two gradients pull at it: the objective's, and that of the attention it receives in all layers; where they
// contradict, the second gives way (PCGrad; Yu et al. 2020). Unlike the paper's program both are brought to one length
// inside the patch before they are added, and steps follow the sign instead of Adam.
#include <algorithm>
#include <cmath>

#include "vit/autograd/probs_listener.h"
#include "vit/autograd/tape.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/robustness/patch.h"

namespace vit {

namespace {

constexpr double kAttentionWeight = 0.5;  // of its gradient beside the objective's, both of length 1

/// An attention between the model's patches: keys are `prefix` tokens, then the cells of the grid.
struct HeardLayer {
  std::string module{};
  Var probs{};  ///< [B, H, Nq, Nk]
  int64_t prefix = 0, rows = 0, columns = 0;
};

class AttentionEar : public ProbsListener {
 public:
  bool wants(const std::string& name) override { return name.ends_with("layout"); }
  void observe(const std::string&, const Tensor& layout) override {
    prefix_ = static_cast<int64_t>(layout.f32()[0]);
    rows_ = static_cast<int64_t>(layout.f32()[1]);
    columns_ = static_cast<int64_t>(layout.f32()[2]);
  }
  bool listens(const std::string&) override { return true; }
  void listen(const std::string& module, const Var& probs) override {
    // Keys that are no cells of the grid (merged, reduced, of a window) have no place in the picture.
    if (rows_ * columns_ < 2 || probs.size(3) != prefix_ + rows_ * columns_) return;
    if (layers.empty()) {
      rows = rows_;
      columns = columns_;
    }
    layers.push_back({module, probs, prefix_, rows_, columns_});
  }

  std::vector<HeardLayer> layers;
  int64_t rows = 0, columns = 0;  ///< of the first

 private:
  int64_t prefix_ = 0, rows_ = 0, columns_ = 0;
};

/// A pass that is listened to; the tape keeps it for a gradient by `input`. Of models whose grid shrinks on the way,
/// the layers of the first grid: the later ones have other patches.
std::vector<HeardLayer> hear(Context& ctx, Tape& tape, const AttackTarget& target, const Var& input) {
  AttentionEar ear;
  ctx.tape = &tape;
  ctx.observer = &ear;
  target.logits(ctx, input);
  ctx.tape = nullptr;
  ctx.observer = nullptr;
  std::erase_if(ear.layers, [rows = ear.rows, columns = ear.columns](const HeardLayer& layer) {
    return layer.rows != rows || layer.columns != columns;
  });
  return std::move(ear.layers);
}

/// The cell of each picture that is looked at most, in the fifth of twelve layers or what corresponds to it.
std::vector<int64_t> most_looked_at(const std::vector<HeardLayer>& layers) {
  const HeardLayer& layer = layers[std::max<size_t>(1, (layers.size() * 5 + 6) / 12) - 1];
  const Tensor& probs = layer.probs.value();
  const int64_t rows = probs.size(1) * probs.size(2), keys = probs.size(3);
  std::vector<int64_t> cells;
  for (int64_t b = 0; b < probs.size(0); ++b) {
    std::vector<double> sums(static_cast<size_t>(keys - layer.prefix), 0.0);
    for (int64_t i = 0; i < rows; ++i)
      for (size_t cell = 0; cell < sums.size(); ++cell)
        sums[cell] += probs.f32()[(b * rows + i) * keys + layer.prefix + static_cast<int64_t>(cell)];
    cells.push_back(std::max_element(sums.begin(), sums.end()) - sums.begin());
  }
  return cells;
}

/// The mean attention that every picture's cell receives, over heads and queries, summed over layers and pictures.
Var attention_received(Context& ctx, const std::vector<HeardLayer>& layers, const std::vector<int64_t>& cells) {
  Var total;
  for (const HeardLayer& layer : layers) {
    const Shape& shape = layer.probs.shape();
    Tensor chosen = Tensor::zeros({shape[0], 1, 1, shape[3]});
    const float share = 1.0f / static_cast<float>(shape[1] * shape[2]);
    for (int64_t b = 0; b < shape[0]; ++b)
      chosen.f32()[b * shape[3] + layer.prefix + cells[static_cast<size_t>(b)]] = share;
    const Var received = sum(ctx, multiply(ctx, layer.probs, chosen), {}, false);
    total = total.defined() ? add(ctx, total, received) : received;
  }
  return reshape(ctx, total, {1});
}

/// `first` of length 1 plus kAttentionWeight times `second` of length 1 without what contradicts the first, in place of
/// `first`: the values inside one picture's patch.
void combine(const std::vector<float*>& first, const std::vector<float>& second) {
  double dot = 0.0, first_squares = 0.0;
  for (size_t i = 0; i < first.size(); ++i) {
    dot += static_cast<double>(*first[i]) * second[i];
    first_squares += static_cast<double>(*first[i]) * *first[i];
  }
  const double against = dot < 0.0 && first_squares > 0.0 ? dot / first_squares : 0.0;
  double second_squares = 0.0;
  for (size_t i = 0; i < first.size(); ++i) {
    const double kept = second[i] - against * *first[i];
    second_squares += kept * kept;
  }
  const double a = first_squares > 0.0 ? 1.0 / std::sqrt(first_squares) : 0.0;
  const double b = second_squares > 0.0 ? kAttentionWeight / std::sqrt(second_squares) : 0.0;
  for (size_t i = 0; i < first.size(); ++i)
    *first[i] = static_cast<float>(a * *first[i] + b * (second[i] - against * *first[i]));
}

class PatchFool {
 public:
  PatchFool(const AttackTarget& target, const AttackBatch& batch, const AttackOptions& options)
      : target_(target), batch_(batch), options_(options), probe_(target) {
    Tape tape(ctx_);
    const std::vector<HeardLayer> layers = hear(ctx_, tape, target, Var::leaf(batch.pixels));
    if (layers.empty()) fail_usage("patch_fool: the model offers no attention between its patches");
    cells_ = most_looked_at(layers);
    const int64_t height = batch.pixels.size(2) / layers[0].rows, width = batch.pixels.size(3) / layers[0].columns;
    for (const int64_t cell : cells_)
      places_.push_back({cell / layers[0].columns * height, cell % layers[0].columns * width, height, width});
  }

  AttackResult run() {
    WorstFound found(batch_.pixels);
    std::vector<int64_t> where = all_places(batch_.size());
    for (int64_t draw = 0; draw < options_.restarts && !where.empty(); ++draw) {
      const AttackBatch part = batch_.at(where);
      std::vector<PatchPlace> places;
      std::vector<int64_t> cells;
      for (const int64_t place : where) {
        places.push_back(places_[static_cast<size_t>(place)]);
        cells.push_back(cells_[static_cast<size_t>(place)]);
      }
      search_patches(
          probe_, part, places, options_, draw,
          [&](const Tensor& pixels) { return direction(pixels, part.goals, places, cells); }, where, found);
      where = found.unfooled();
    }
    AttackResult result = found.result(probe_);
    result.forwards += heard_;
    result.backwards += heard_;
    return result;
  }

 private:
  TargetAnswer direction(const Tensor& pixels, const std::vector<AttackGoal>& goals,
                         const std::vector<PatchPlace>& places, const std::vector<int64_t>& cells) {
    TargetAnswer answer = probe_.gradient(pixels, goals, options_.loss);
    const Tensor drawn = attention_gradient(pixels, cells);
    const int64_t channels = pixels.size(1), height = pixels.size(2), width = pixels.size(3);
    for (size_t b = 0; b < places.size(); ++b) {
      std::vector<float*> first;
      std::vector<float> second;
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t y = 0; y < places[b].height; ++y)
          for (int64_t x = 0; x < places[b].width; ++x) {
            const int64_t row = (static_cast<int64_t>(b) * channels + c) * height + places[b].top + y;
            first.push_back(answer.gradient.f32() + row * width + places[b].left + x);
            second.push_back(drawn.f32()[row * width + places[b].left + x]);
          }
      combine(first, second);
    }
    return answer;
  }

  Tensor attention_gradient(const Tensor& pixels, const std::vector<int64_t>& cells) {
    heard_ += pixels.size(0);
    Tape tape(ctx_);
    const Var input = Var::leaf(pixels);
    const std::vector<HeardLayer> layers = hear(ctx_, tape, target_, input);
    ctx_.tape = &tape;
    const Var received = attention_received(ctx_, layers, cells);
    ctx_.tape = nullptr;
    tape.backward(received);
    return input.grad();
  }

  const AttackTarget& target_;
  const AttackBatch& batch_;
  const AttackOptions& options_;
  TargetProbe probe_;
  Context ctx_;
  std::vector<int64_t> cells_;
  std::vector<PatchPlace> places_;
  int64_t heard_ = 0;
};

std::string refuse(const AttackTarget& target, const Tensor& pixels) {
  Context ctx;
  Tape tape(ctx);
  if (!hear(ctx, tape, target, Var::leaf(pixels)).empty()) return {};
  return "it offers no attention whose keys are the patches of the picture";
}

AttackResult patch_fool(const AttackTarget& target, const AttackBatch& batch, const AttackOptions& options) {
  return PatchFool(target, batch, options).run();
}

}  // namespace

VITKIT_REGISTER_ATTACK("patch_fool", .title = "Patch-Fool",
                       .summary = "the model's patch that is looked at most is made to fool and to draw attention",
                       .source = "Fu et al. 2022, \"Patch-Fool\"; projected gradients: Yu et al. 2020",
                       .budget = AttackBudget::cell, .refusal = refuse, .run = patch_fool);

}  // namespace vit
