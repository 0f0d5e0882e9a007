#include "vit/core/names.h"

#include <algorithm>
#include <cctype>
#include <tuple>

namespace vit {

namespace {

// Names come from files that anybody can write: longer ones are compared by their beginnings only, so that the
// quadratic distance stays cheap.
constexpr size_t kMaxCompared = 100;
// A name inside another ("window" in "shifted_window") is a hint only when it is long enough to mean something.
constexpr size_t kMinContained = 3;

std::string folded(std::string_view name) {
  std::string text(name.substr(0, kMaxCompared));
  for (char& c : text) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

size_t distance_of_folded(const std::string& a, const std::string& b) {
  // Three rows of the usual table: a swap of neighbours looks two rows back.
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitution = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({substitution, above[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

bool contains_either(const std::string& a, const std::string& b) {
  const auto& [shorter, longer] = a.size() < b.size() ? std::tie(a, b) : std::tie(b, a);
  return shorter.size() >= kMinContained && longer.find(shorter) != std::string::npos;
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) { return distance_of_folded(folded(a), folded(b)); }

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string wanted = folded(name);
  const std::string* nearest = nullptr;
  const std::string* containing = nullptr;
  size_t smallest = 0;
  for (const std::string& candidate : candidates) {
    const std::string text = folded(candidate);
    const size_t distance = distance_of_folded(wanted, text);
    const size_t allowed = std::max(wanted.size(), text.size()) / 3;
    if (distance <= allowed && (!nearest || distance < smallest)) {
      nearest = &candidate;
      smallest = distance;
    }
    if (!containing && contains_either(wanted, text)) containing = &candidate;
  }
  if (nearest) return *nearest;
  return containing ? *containing : std::string();
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string nearest = nearest_name(name, candidates);
  return nearest.empty() ? std::string() : " (did you mean '" + nearest + "'?)";
}

std::string joined(const std::vector<std::string>& names, size_t limit) {
  std::string text;
  const size_t shown = std::min(names.size(), limit);
  for (size_t i = 0; i < shown; ++i) text += (i ? ", " : "") + names[i];
  if (shown < names.size()) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

}  // namespace vit
