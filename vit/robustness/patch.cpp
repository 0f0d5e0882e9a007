#include "vit/robustness/patch.h"

#include <algorithm>
#include <cmath>

#include "vit/core/parallel.h"
#include "vit/core/rng.h"

namespace vit {

namespace {

constexpr double kFirstStep = 0.1;

uint64_t stream_of_draw(const char* use, int64_t number, int64_t draw) {
  return Rng::stream_of(use) + static_cast<uint64_t>(draw) * 0x9E3779B97F4A7C15ull + static_cast<uint64_t>(number);
}

/// Calls f with every value inside the place of picture b, as an index into the batch's values.
template <class F>
void each_value(const Tensor& pixels, int64_t b, const PatchPlace& place, const F& f) {
  const int64_t channels = pixels.size(1), height = pixels.size(2), width = pixels.size(3);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t y = place.top; y < place.top + place.height; ++y)
      for (int64_t x = place.left; x < place.left + place.width; ++x) f(((b * channels + c) * height + y) * width + x);
}

/// A square patch (Brown et al. 2017, "Adversarial patch"; here one for each picture, so that it is as bad as it gets).
AttackResult patch_attack(const AttackTarget& target, const AttackBatch& batch, const AttackOptions& options) {
  TargetProbe probe(target);
  WorstFound found(batch.pixels);
  std::vector<int64_t> where = all_places(batch.size());
  for (int64_t draw = 0; draw < options.restarts && !where.empty(); ++draw) {
    const AttackBatch part = batch.at(where);
    std::vector<PatchPlace> places;
    for (const int64_t number : part.numbers)
      places.push_back(patch_place(batch.pixels.size(2), batch.pixels.size(3), options, number, draw));
    const PatchGradient gradient = [&](const Tensor& pixels) {
      return probe.gradient(pixels, part.goals, options.loss);
    };
    search_patches(probe, part, places, options, draw, gradient, where, found);
    where = found.unfooled();
  }
  return found.result(probe);
}

}  // namespace

PatchPlace patch_place(int64_t height, int64_t width, const AttackOptions& options, int64_t number, int64_t draw) {
  const double area = options.share * static_cast<double>(height * width);
  const int64_t side = std::max<int64_t>(1, std::llround(std::sqrt(area)));
  PatchPlace place{.top = 0, .left = 0, .height = std::min(side, height), .width = std::min(side, width)};
  const int64_t free_rows = height - place.height, free_columns = width - place.width;
  if (options.position == PatchPosition::center) {
    place.top = free_rows / 2;
    place.left = free_columns / 2;
  } else if (options.position == PatchPosition::random) {
    Rng rng(options.seed, stream_of_draw("patch place", number, draw));
    place.top = static_cast<int64_t>(rng.next_u32() % static_cast<uint32_t>(free_rows + 1));
    place.left = static_cast<int64_t>(rng.next_u32() % static_cast<uint32_t>(free_columns + 1));
  }
  return place;
}

void search_patches(TargetProbe& probe, const AttackBatch& batch, const std::vector<PatchPlace>& places,
                    const AttackOptions& options, int64_t draw, const PatchGradient& gradient,
                    const std::vector<int64_t>& where, WorstFound& found) {
  Tensor x = batch.pixels.clone();
  const bool random = options.random_start || draw > 0;
  parallel_for(random ? batch.size() : 0, [&](int64_t b) {
    const auto at = static_cast<size_t>(b);
    Rng rng(options.seed, stream_of_draw("patch start", batch.numbers[at], draw));
    each_value(x, b, places[at], [&](int64_t i) { x.f32()[i] = rng.uniform(); });
  });
  const double first = options.alpha.value_or(kFirstStep);
  for (int64_t step = 0; step < options.steps; ++step) {
    const TargetAnswer answer = gradient(x);
    found.offer(where, x, answer);
    const auto alpha =
        static_cast<float>(first * (1.0 - static_cast<double>(step) / static_cast<double>(options.steps)));
    parallel_for(batch.size(), [&](int64_t b) {
      each_value(x, b, places[static_cast<size_t>(b)], [&](int64_t i) {
        const float slope = answer.gradient.f32()[i];
        const float sign = static_cast<float>(slope > 0.0f) - static_cast<float>(slope < 0.0f);
        x.f32()[i] = std::clamp(x.f32()[i] + alpha * sign, 0.0f, 1.0f);
      });
    });
  }
  found.offer(where, x, probe.answer(x, batch.goals, options.loss));
}

VITKIT_REGISTER_ATTACK("patch", .title = "Adversarial patch",
                       .summary = "a square of the picture becomes whatever fools the model most",
                       .source = "Brown et al. 2017, \"Adversarial patch\"; one for each picture",
                       .budget = AttackBudget::share, .run = patch_attack);

}  // namespace vit
