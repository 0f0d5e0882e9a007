#include "datasets/corruption.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "vit/core/check.h"

namespace datasets {

namespace {

/// Shorter sides at which two benchmarks are equally near: sqrt(32 * 64) and sqrt(64 * 224), rounded down.
constexpr int64_t kLargestCifar = 45, kLargestTiny = 119;

/// Spreads the numbers of pictures over all streams, one to one (odd; the golden ratio's bits).
constexpr uint64_t kPictureFactor = 0x9E3779B97F4A7C15;

void require_severity(int64_t severity) {
  if (severity < 1 || severity > kCorruptionSeverities)
    vit::fail_usage("corruption: severities are 1 to ", kCorruptionSeverities, ", got ", severity);
}

/// What `named_corruptions` knows beside families.
std::vector<std::string> collective_names() {
  std::vector<std::string> names = corruption_groups();
  names.emplace_back("all");
  names.emplace_back("extra");
  return names;
}

bool stands_for(const std::string& name, const std::string& family, const CorruptionEntry& entry) {
  if (name == family) return true;
  if (entry.is_extra) return name == "extra";
  return name == "all" || name == entry.group;
}

void require_known(const std::string& name) {
  const std::vector<std::string> collective = collective_names();
  if (std::find(collective.begin(), collective.end(), name) != collective.end()) return;
  if (corruption_registry().contains(name)) return;
  std::vector<std::string> known = corruption_families(/*extra=*/true);
  known.insert(known.end(), collective.begin(), collective.end());
  vit::fail_usage("unknown corruption '", name, "'", vit::did_you_mean(name, known), "; known: ", vit::joined(known));
}

}  // namespace

CorruptionScale corruption_scale(const vit::Image& image) {
  const int64_t side = std::min(image.height(), image.width());
  if (side <= kLargestCifar) return CorruptionScale::cifar10;
  return side <= kLargestTiny ? CorruptionScale::tiny_imagenet : CorruptionScale::imagenet;
}

vit::Registry<CorruptionEntry>& corruption_registry() {
  static vit::Registry<CorruptionEntry> registry("corruption");
  return registry;
}

std::vector<std::string> corruption_families(bool extra) {
  std::map<int64_t, std::string> ordered;
  for (const std::string& name : corruption_registry().names()) {
    const CorruptionEntry& entry = corruption_registry().find(name);
    if (extra || !entry.is_extra) ordered.emplace(entry.position, name);
  }
  std::vector<std::string> names;
  for (const auto& [position, name] : ordered) names.push_back(name);
  return names;
}

const std::vector<std::string>& corruption_groups() {
  static const std::vector<std::string> groups = {"noise", "blur", "weather", "digital"};
  return groups;
}

std::vector<std::string> named_corruptions(const std::vector<std::string>& names) {
  for (const std::string& name : names) require_known(name);
  std::vector<std::string> chosen;
  for (const std::string& family : corruption_families(/*extra=*/true)) {
    const CorruptionEntry& entry = corruption_registry().find(family);
    const auto means_it = [&](const std::string& name) { return stands_for(name, family, entry); };
    if (std::any_of(names.begin(), names.end(), means_it)) chosen.push_back(family);
  }
  return chosen;
}

vit::Image corrupt(const vit::Image& image, const std::string& family, int64_t severity, vit::Rng& rng) {
  const CorruptionEntry& entry = corruption_registry().find(family);
  require_severity(severity);
  vit::check(image.defined(), "corruption: an undefined picture");
  return entry.apply(image, {.scale = corruption_scale(image), .severity = severity}, rng);
}

vit::Image corrupt(const vit::Image& image, const std::string& family, int64_t severity, uint64_t seed,
                   int64_t picture) {
  vit::Rng rng(seed, vit::Rng::stream_of("corruption." + family) + static_cast<uint64_t>(picture) * kPictureFactor);
  return corrupt(image, family, severity, rng);
}

}  // namespace datasets
