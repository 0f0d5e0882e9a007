#include "datasets/rand_augment.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "datasets/augment_random.h"
#include "datasets/color_ops.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// Magnitudes are tenths of an op's full strength.
constexpr double kFullMagnitude = 10.0;
/// Share of the extent that TranslateRel moves by at full magnitude.
constexpr double kTranslateShare = 0.45;
/// mstd above this: uniform magnitudes.
constexpr double kUniformStd = 100.0;

/// RandAugment's ops in timm's order, and how likely each is with "tweights".
struct RandOp {
  AugmentOp op;
  double weight;
};
constexpr std::array<RandOp, 15> kRandOps = {{
    {AugmentOp::kAutoContrast, 0.25},
    {AugmentOp::kEqualize, 0.05},
    {AugmentOp::kInvert, 0.05},
    {AugmentOp::kRotate, 3},
    {AugmentOp::kPosterize, 0.05},
    {AugmentOp::kSolarize, 0.05},
    {AugmentOp::kSolarizeAdd, 0.05},
    {AugmentOp::kColor, 0.25},
    {AugmentOp::kContrast, 0.05},
    {AugmentOp::kBrightness, 0.05},
    {AugmentOp::kSharpness, 0.25},
    {AugmentOp::kShearX, 2},
    {AugmentOp::kShearY, 2},
    {AugmentOp::kTranslateX, 1},
    {AugmentOp::kTranslateY, 1},
}};

double with_random_sign(double value, vit::Rng& rng) { return rng.uniform() > 0.5f ? -value : value; }

/// timm's level functions: the argument of an op at `level` (magnitude / 10).
double argument_of(AugmentOp op, double level, bool increasing, const vit::Image& image, vit::Rng& rng) {
  switch (op) {
    case AugmentOp::kRotate:
      return with_random_sign(level * 30.0, rng);
    case AugmentOp::kPosterize: {
      const int bits = static_cast<int>(level * 4);
      return increasing ? 4 - bits : bits;
    }
    case AugmentOp::kSolarize: {
      const int threshold = std::min(256, static_cast<int>(level * 256));
      return increasing ? 256 - threshold : threshold;
    }
    case AugmentOp::kSolarizeAdd:
      return std::min(128, static_cast<int>(level * 110));
    case AugmentOp::kColor:
    case AugmentOp::kContrast:
    case AugmentOp::kBrightness:
    case AugmentOp::kSharpness:
      return increasing ? std::max(0.1, 1.0 + with_random_sign(level * 0.9, rng)) : level * 1.8 + 0.1;
    case AugmentOp::kShearX:
    case AugmentOp::kShearY:
      return with_random_sign(level * 0.3, rng);
    case AugmentOp::kTranslateX:
      return with_random_sign(level * kTranslateShare, rng) * static_cast<double>(image.width());
    case AugmentOp::kTranslateY:
      return with_random_sign(level * kTranslateShare, rng) * static_cast<double>(image.height());
    default:
      return 0.0;
  }
}

/// `count` different ops by weight, or independent ones without weights.
std::vector<AugmentOp> choose_ops(int count, bool weighted, vit::Rng& rng) {
  std::vector<AugmentOp> chosen;
  std::vector<RandOp> left(kRandOps.begin(), kRandOps.end());
  for (int i = 0; i < count && !left.empty(); ++i) {
    if (!weighted) {
      chosen.push_back(kRandOps[static_cast<size_t>(random_index(rng, static_cast<int64_t>(kRandOps.size())))].op);
      continue;
    }
    double sum = 0.0;
    for (const RandOp& op : left) sum += op.weight;
    double at = rng.uniform() * sum;
    size_t index = 0;
    while (index + 1 < left.size() && at >= left[index].weight) at -= left[index++].weight;
    chosen.push_back(left[index].op);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(index));
  }
  return chosen;
}

/// TrivialAugmentWide's op and argument: 31 strengths, most with a random sign.
struct TrivialOp {
  AugmentOp op;
  double full;     ///< argument at the last of the strengths, or its distance from `neutral`
  double neutral;  ///< argument at the first
  bool is_signed;
};
constexpr int kTrivialBins = 31;
constexpr std::array<TrivialOp, 14> kTrivialOps = {{
    {AugmentOp::kIdentity, 0, 0, false},
    {AugmentOp::kShearX, 0.99, 0, true},
    {AugmentOp::kShearY, 0.99, 0, true},
    {AugmentOp::kTranslateX, 32, 0, true},
    {AugmentOp::kTranslateY, 32, 0, true},
    {AugmentOp::kRotate, 135, 0, true},
    {AugmentOp::kBrightness, 0.99, 1, true},
    {AugmentOp::kColor, 0.99, 1, true},
    {AugmentOp::kContrast, 0.99, 1, true},
    {AugmentOp::kSharpness, 0.99, 1, true},
    {AugmentOp::kPosterize, -6, 8, false},
    {AugmentOp::kSolarize, -255, 255, false},
    {AugmentOp::kAutoContrast, 0, 0, false},
    {AugmentOp::kEqualize, 0, 0, false},
}};

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  vit::fail_usage("aa: '", text, "': ", why,
                  "; known are rand with the sections m, n, p, mstd, mmax, inc, tweights (rand-m9-mstd0.5-inc1), "
                  "and ta_wide");
}

/// A section of a rand policy: its name and number. Errors (usage): no number.
double number_after(const std::string& text, const std::string& section, const std::string& name) {
  double value = 0.0;
  const char *begin = section.data() + name.size(), *end = section.data() + section.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value) || value < 0.0)
    refuse(text, "expected a number after '" + name + "' in '" + section + "'");
  return value;
}

void read_section(const std::string& text, const std::string& section, AugmentPolicy& policy) {
  if (section == "tweights") {
    policy.weighted = policy.increasing = true;  // timm's weights are for the increasing ops
    return;
  }
  const std::string name = section.substr(0, section.find_first_of("0123456789."));
  const double value = number_after(text, section, name);
  const bool is_whole = value == std::floor(value) && value < 1e6;
  if (name == "m") {
    policy.magnitude = value;
  } else if (name == "n" && is_whole && value >= 1 && value <= 100) {
    policy.layers = static_cast<int>(value);
  } else if (name == "p" && value <= 1.0) {
    policy.probability = value;
  } else if (name == "mstd") {
    policy.uniform_magnitude = value > kUniformStd;
    policy.magnitude_std = policy.uniform_magnitude ? 0.0 : value;
  } else if (name == "mmax") {
    policy.magnitude_max = value > 0.0 ? value : kFullMagnitude;
  } else if (name == "inc" && (value == 0.0 || value == 1.0)) {
    policy.increasing = policy.increasing || value == 1.0;
  } else {
    refuse(text, "the section '" + section + "' is not known or out of range");
  }
}

}  // namespace

std::optional<AugmentPolicy> parse_policy(const std::string& text) {
  if (text.empty() || text == "none") return std::nullopt;
  AugmentPolicy policy;
  if (text == "ta_wide" || text == "trivialaugment") {
    policy.kind = AugmentPolicy::Kind::kTrivialAugment;
    return policy;
  }
  std::istringstream sections(text);
  std::string section;
  std::getline(sections, section, '-');
  if (section == "augmix") refuse(text, "this version does not have AugMix");
  if (section == "v0" || section == "v0r" || section == "original" || section == "originalr" || section == "3a")
    refuse(text, "this version does not have AutoAugment's policies");
  if (section != "rand") refuse(text, "no such policy");
  while (std::getline(sections, section, '-')) read_section(text, section, policy);
  return policy;
}

void apply_augment_op(vit::Image& image, AugmentOp op, double argument, vit::Filter filter, const Colour& fill) {
  switch (op) {
    case AugmentOp::kIdentity:
      return;
    case AugmentOp::kAutoContrast:
      return auto_contrast(image);
    case AugmentOp::kEqualize:
      return equalize(image);
    case AugmentOp::kInvert:
      return invert(image);
    case AugmentOp::kPosterize:
      return posterize(image, std::clamp(static_cast<int>(argument), 0, 8));
    case AugmentOp::kSolarize:
      return solarize(image, argument);
    case AugmentOp::kSolarizeAdd:
      return solarize_add(image, static_cast<int>(argument));
    case AugmentOp::kColor:
      return adjust_color(image, argument);
    case AugmentOp::kContrast:
      return adjust_contrast(image, argument);
    case AugmentOp::kBrightness:
      return adjust_brightness(image, argument);
    case AugmentOp::kSharpness:
      return adjust_sharpness(image, argument);
    case AugmentOp::kRotate:
      image = rotated(image, argument, filter, fill);
      return;
    case AugmentOp::kShearX:
      image = affine(image, {1, argument, 0, 0, 1, 0}, filter, fill);
      return;
    case AugmentOp::kShearY:
      image = affine(image, {1, 0, 0, argument, 1, 0}, filter, fill);
      return;
    case AugmentOp::kTranslateX:
      image = affine(image, {1, 0, argument, 0, 1, 0}, filter, fill);
      return;
    case AugmentOp::kTranslateY:
      image = affine(image, {1, 0, 0, 0, 1, argument}, filter, fill);
      return;
  }
}

PolicyAugment::PolicyAugment(const AugmentPolicy& policy, const Colour& fill, std::optional<vit::Filter> filter)
    : policy_(policy), fill_(fill), filter_(filter) {}

void PolicyAugment::operator()(vit::Image& image, vit::Rng& rng) const {
  if (policy_.kind == AugmentPolicy::Kind::kTrivialAugment)
    trivial_augment(image, rng);
  else
    rand_augment(image, rng);
}

void PolicyAugment::rand_augment(vit::Image& image, vit::Rng& rng) const {
  for (const AugmentOp op : choose_ops(policy_.layers, policy_.weighted, rng)) {
    if (!random_chance(rng, policy_.probability)) continue;
    double magnitude = policy_.magnitude;
    if (policy_.uniform_magnitude) magnitude = random_between(rng, 0.0, magnitude);
    if (policy_.magnitude_std > 0.0) magnitude += policy_.magnitude_std * rng.normal();
    magnitude = std::clamp(magnitude, 0.0, policy_.magnitude_max);
    const double argument = argument_of(op, magnitude / kFullMagnitude, policy_.increasing, image, rng);
    const vit::Filter random = random_chance(rng, 0.5) ? vit::Filter::kBilinear : vit::Filter::kBicubic;
    apply_augment_op(image, op, argument, filter_.value_or(random), fill_);
  }
}

void PolicyAugment::trivial_augment(vit::Image& image, vit::Rng& rng) const {
  const TrivialOp& choice = kTrivialOps[static_cast<size_t>(random_index(rng, kTrivialOps.size()))];
  const auto bin = static_cast<double>(random_index(rng, kTrivialBins));
  double change = choice.full * bin / (kTrivialBins - 1);
  if (choice.is_signed) change = with_random_sign(change, rng);
  double argument = choice.neutral + change;
  if (choice.op == AugmentOp::kPosterize) argument = std::nearbyint(argument);
  // Pictures move by whole pixels, as torchvision truncates.
  if (choice.op == AugmentOp::kTranslateX || choice.op == AugmentOp::kTranslateY) argument = std::trunc(argument);
  const vit::Filter random = random_chance(rng, 0.5) ? vit::Filter::kBilinear : vit::Filter::kBicubic;
  apply_augment_op(image, choice.op, argument, filter_.value_or(random), fill_);
}

}  // namespace datasets
