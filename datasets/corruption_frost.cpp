// Frost: a picture behind a frozen pane. The benchmark mixes in crops of six photos of frost; here the ice is drawn, a
// new pane for every picture: clouds of rime and fern-like crystals, bluish white on dark.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "datasets/augment_random.h"
#include "datasets/corruption.h"
#include "datasets/float_picture.h"
#include "vit/image/canvas.h"

namespace datasets {

namespace {

struct Frost {
  float kept, added;  // weights of the picture and of the ice
};
constexpr CorruptionTable<Frost> kFrost = {{{{{1, 0.4f}, {0.8f, 0.6f}, {0.7f, 0.7f}, {0.65f, 0.7f}, {0.6f, 0.75f}}},
                                            {{{1, 0.3f}, {0.9f, 0.4f}, {0.8f, 0.45f}, {0.75f, 0.5f}, {0.7f, 0.55f}}},
                                            {{{1, 0.2f}, {1, 0.3f}, {0.9f, 0.4f}, {0.85f, 0.4f}, {0.75f, 0.45f}}}}};

/// The benchmark scales its photos by these, so that crystals stay in proportion.
constexpr std::array<float, 3> kUnits = {1.0f, 0.3f, 0.2f};

constexpr float kBranchAngle = std::numbers::pi_v<float> / 3.0f;  // of ice, whose lattice is hexagonal
constexpr vit::Color kIce{232, 243, 252};

/// A fern: a bent stem with pairs of branches that shorten towards its tip.
class Fern {
 public:
  Fern(const vit::Point& root, float length, float unit, vit::Rng& rng) : unit_(unit) {
    const auto pairs = std::max<int64_t>(3, std::llround(length / (4.0f * unit)));
    const float step = length / static_cast<float>(pairs);
    const auto bend = static_cast<float>(random_between(rng, -0.06, 0.06));
    float angle = 2.0f * std::numbers::pi_v<float> * rng.uniform();
    vit::Path stem = {root};
    for (int64_t i = 0; i < pairs; ++i) {
      angle += bend;
      stem.push_back({stem.back().x + step * std::cos(angle), stem.back().y + step * std::sin(angle)});
      const float left = 1.0f - static_cast<float>(i + 1) / static_cast<float>(pairs + 1);
      const float reach = 0.45f * length * left * (0.6f + 0.4f * rng.uniform());
      add_branch(stem.back(), angle + kBranchAngle, reach);
      add_branch(stem.back(), angle - kBranchAngle, reach);
    }
    add_line(stem, 1.6f);
  }
  const vit::Rings& rings() const { return rings_; }

 private:
  void add_line(const vit::Path& line, float width) {
    const vit::Rings pen = vit::stroke_rings(line, std::max(width * unit_, 0.35f));
    rings_.insert(rings_.end(), pen.begin(), pen.end());
  }
  void add_branch(const vit::Point& from, float angle, float reach) {
    add_line({from, {from.x + reach * std::cos(angle), from.y + reach * std::sin(angle)}}, 1.0f);
  }

  float unit_;
  vit::Rings rings_;
};

/// The ice, [height, width, 3].
vit::Image frozen_pane(int64_t height, int64_t width, float unit, vit::Rng& rng) {
  constexpr std::array<float, 3> kDark = {0.10f, 0.16f, 0.24f}, kRime = {0.70f, 0.80f, 0.88f};
  const FloatPicture clouds = plasma(height, width, 1.7, rng);
  FloatPicture rime(height, width, 3);
  for (size_t i = 0; i < rime.values.size(); ++i)
    rime.values[i] = kDark[i % 3] + (kRime[i % 3] - kDark[i % 3]) * clouds.values[i / 3];
  vit::Canvas canvas(image_of(rime));
  const auto right = static_cast<float>(width), bottom = static_cast<float>(height);
  const float spacing = 21.0f * unit;  // of the roots, on average
  const auto ferns = std::max<int64_t>(2, std::llround(right * bottom / (spacing * spacing)));
  for (int64_t i = 0; i < ferns; ++i) {
    const vit::Point root{right * rng.uniform(), bottom * rng.uniform()};
    const float length = (18.0f + 50.0f * rng.uniform()) * unit;
    canvas.fill(Fern(root, length, unit, rng).rings(), kIce, 0.4f + 0.5f * rng.uniform());
  }
  return canvas.image();
}

vit::Image frost(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const Frost& parameters = level.of(kFrost);
  FloatPicture picture = floats_of(image);
  const FloatPicture ice =
      floats_of(frozen_pane(picture.height, picture.width, kUnits[static_cast<size_t>(level.scale)], rng));
  for (size_t i = 0; i < picture.values.size(); ++i)
    picture.values[i] = parameters.kept * picture.values[i] + parameters.added * ice.values[i];
  return image_of(picture);
}

}  // namespace

VITKIT_REGISTER_CORRUPTION("frost", .position = 8, .group = "weather",
                           .summary = "behind a pane of ice crystals (drawn)",
                           .source = "Hendrycks, Dietterich 2019, section 3.1, with drawn ice", .is_random = true,
                           .apply = frost);

}  // namespace datasets
