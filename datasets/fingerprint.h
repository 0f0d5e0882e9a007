// Fingerprints: whether a run continues on the data it began with.
#pragma once

#include <cstdint>
#include <string>

#include "datasets/dataset.h"

namespace datasets {

/// What identifies a data set without reading its pictures: how many, which classes in which order, and every source
/// with its label (or its boxes) in order. Sizes, times and contents of files do not count, nor the folder that all
/// lies in: a copy elsewhere has the same fingerprint, and so has a set in which a picture was replaced under its name.
struct Fingerprint {
  int64_t pictures = 0, classes = 0;
  std::string names;    ///< hash of the class names in order
  std::string sources;  ///< hash of all sources (below their common folder) and labels or boxes in order
  bool operator==(const Fingerprint&) const = default;
  /// On one line, for records that hold texts: equal texts, equal fingerprints.
  std::string text() const;

  template <class V>
  void visit_fields(V& v) {
    v("pictures", pictures, "Number of pictures.");
    v("classes", classes, "Number of classes.");
    v("names", names, "Hash of the class names in order.");
    v("sources", sources, "Hash of all sources and labels in order.");
  }
};

/// The folder that all sources have in common is cut off.
Fingerprint fingerprint(const Dataset& data);

/// What has changed, in words: "1,200 pictures were 1,000"; empty where nothing has.
std::string difference(const Fingerprint& before, const Fingerprint& now);

/// Errors (usage): `now` differs from what a run began with. `where` names the data set.
void require_unchanged(const Fingerprint& before, const Fingerprint& now, const std::string& where);

}  // namespace datasets
