// Checks for pictures that are there more than once: exactly, by a hash of their pixels, and nearly, by their looks.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "datasets/doctor.h"
#include "datasets/label_check.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

// Near duplicates differ in at most kMaxDistance of the 128 signs and kMaxDifference grey levels in any cell. On 250
// photos that were saved again (JPEG 40), halved or enlarged, this finds all; on CIFAR-10's 55,000 it finds 58 pairs,
// all of which people call copies. Candidates have one of eight 16-bit parts of the signs in common, as all pairs up to
// a distance of 7 must and nine in ten at 12 do.
constexpr int kBands = 8;
constexpr int kMaxDistance = 12;
constexpr int kMaxDifference = 24;
constexpr int kMinContrast = 40;
/// Candidates that a picture is compared with per band: bounds the work for sets in which many look alike.
constexpr size_t kMaxCandidates = 2048;
/// Where more than this share of a split looks like something else, pictures are alike by nature (digits, charts): that
/// is said once, not for each.
constexpr double kAlikeShare = 0.1;
constexpr size_t kAlikeCount = 20;

/// A picture of one of the splits.
struct Place {
  size_t split = 0;
  int64_t index = 0;
};

class Pictures {
 public:
  explicit Pictures(const Examination& examination) : examination_(examination) {
    for (size_t s = 0; s < examination.splits.size(); ++s)
      for (size_t i = 0; i < examination.splits[s].pictures.size(); ++i)
        if (examination.splits[s].pictures[i].is_readable()) places_.push_back({s, static_cast<int64_t>(i)});
  }
  size_t size() const { return places_.size(); }
  const Place& place(size_t i) const { return places_[i]; }
  const ExaminedSplit& split(size_t i) const { return examination_.splits[places_[i].split]; }
  const PictureFacts& facts(size_t i) const { return split(i).pictures[static_cast<size_t>(places_[i].index)]; }
  std::string source(size_t i) const { return split(i).data->source(places_[i].index); }
  bool same_split(size_t a, size_t b) const { return places_[a].split == places_[b].split; }
  /// The class's name; its number where it is none; nothing where pictures have boxes or captions in place of
  /// classes.
  std::string label(size_t i) const {
    const Dataset& data = *split(i).data;
    if (!has_picture_classes(data)) return {};
    const int64_t label = data.label(places_[i].index);
    const bool known = label >= 0 && label < static_cast<int64_t>(data.class_names().size());
    return known ? data.class_names()[static_cast<size_t>(label)] : std::to_string(label);
  }

 private:
  const Examination& examination_;
  std::vector<Place> places_;
};

Finding exact_finding(const Pictures& pictures, size_t first, size_t copy) {
  const std::string same = "the same picture as " + pictures.source(first);
  const bool conflict = pictures.label(first) != pictures.label(copy);
  const std::string labels =
      conflict ? ", labelled '" + pictures.label(copy) + "' here and '" + pictures.label(first) + "' there" : "";
  if (!pictures.same_split(first, copy))
    return {Severity::error, "leak", pictures.source(copy),
            same + " of " + pictures.split(first).title() + labels + ": figures on it are too good"};
  return {conflict ? Severity::error : Severity::warning, conflict ? "label_conflict" : "duplicate",
          pictures.source(copy), same + labels};
}

/// Reports exact copies; returns the first picture of each kind, on which nothing was found before.
std::vector<size_t> check_exact(const Pictures& pictures, std::vector<Finding>& findings) {
  std::unordered_map<Hash128, std::vector<size_t>> seen;  // the first of each split
  std::vector<size_t> distinct;
  for (size_t i = 0; i < pictures.size(); ++i) {
    std::vector<size_t>& firsts = seen[pictures.facts(i).pixels];
    if (firsts.empty()) distinct.push_back(i);
    const auto own = std::find_if(firsts.begin(), firsts.end(), [&](size_t j) { return pictures.same_split(i, j); });
    // A copy within its split is one; the first of its split may be a copy of another split's.
    if (own != firsts.end()) findings.push_back(exact_finding(pictures, *own, i));
    if (own == firsts.end() && !firsts.empty()) findings.push_back(exact_finding(pictures, firsts.front(), i));
    if (own == firsts.end()) firsts.push_back(i);
  }
  return distinct;
}

uint16_t band_of(const Look& look, int band) {
  const uint64_t signs = band < kBands / 2 ? look.horizontal : look.vertical;
  return static_cast<uint16_t>(signs >> 16 * (band % (kBands / 2)));
}

bool are_alike(const Look& a, const Look& b) {
  return distance(a, b) <= kMaxDistance && largest_difference(a, b) <= kMaxDifference;
}

/// For every picture of `distinct`, the first picture before it that looks alike; its own position where there is none.
std::vector<size_t> first_alike(const Pictures& pictures, const std::vector<size_t>& distinct) {
  std::vector<size_t> first(distinct.size());
  for (size_t i = 0; i < first.size(); ++i) first[i] = i;
  std::vector<Look> looks;
  for (const size_t i : distinct) looks.push_back(pictures.facts(i).look);
  std::vector<std::pair<uint16_t, size_t>> order;
  for (int band = 0; band < kBands; ++band) {
    order.clear();
    for (size_t i = 0; i < looks.size(); ++i)
      if (contrast(looks[i]) >= kMinContrast) order.emplace_back(band_of(looks[i], band), i);
    std::sort(order.begin(), order.end());
    for (size_t a = 0; a < order.size(); ++a) {
      const size_t end = std::min(order.size(), a + 1 + kMaxCandidates);
      for (size_t b = a + 1; b < end && order[b].first == order[a].first; ++b)
        if (order[a].second < first[order[b].second] && are_alike(looks[order[a].second], looks[order[b].second]))
          first[order[b].second] = order[a].second;
    }
  }
  return first;
}

/// Near duplicates of one split.
void report_alike(const ExaminedSplit& split, std::vector<Finding> found, std::vector<Finding>& findings) {
  const bool by_nature = found.size() > kAlikeCount &&
                         static_cast<double>(found.size()) > kAlikeShare * static_cast<double>(split.pictures.size());
  if (!by_nature) {
    findings.insert(findings.end(), found.begin(), found.end());
    return;
  }
  findings.push_back({Severity::note, "near_duplicate", split.root,
                      vit::str(found.size(), " of ", split.pictures.size(), " pictures look like another (",
                               found.front().source, " ", found.front().detail, "): pictures of this kind are alike")});
}

void check_duplicates(const Examination& examination, std::vector<Finding>& findings) {
  const Pictures pictures(examination);
  const std::vector<size_t> distinct = check_exact(pictures, findings);
  const std::vector<size_t> first = first_alike(pictures, distinct);
  std::vector<std::vector<Finding>> alike(examination.splits.size());
  for (size_t i = 0; i < distinct.size(); ++i) {
    if (first[i] == i) continue;
    const size_t one = distinct[first[i]], other = distinct[i];
    const bool same = pictures.same_split(one, other);
    alike[pictures.place(other).split].push_back(
        {same ? Severity::note : Severity::warning, same ? "near_duplicate" : "near_leak", pictures.source(other),
         "looks like " + pictures.source(one) + (same ? "" : " of " + pictures.split(one).title())});
  }
  for (size_t s = 0; s < alike.size(); ++s) report_alike(examination.splits[s], std::move(alike[s]), findings);
}

}  // namespace

VITKIT_REGISTER_DOCTOR_CHECK("duplicates", check_duplicates);

}  // namespace datasets
