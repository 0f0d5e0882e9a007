// CaptionDataset: pictures with sentences about them, whatever the format they are stored in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace datasets {

/// A caption or a picture that cannot be used as it stands, and what became of it: never silently dropped.
struct BadCaption {
  std::string source;  ///< picture or line, and in which file
  std::string reason;  ///< "no captions", "empty caption", "not UTF-8", "no such picture", ...
};

class CaptionDataset : public Dataset {
 public:
  /// The sentences about a picture, in the order of the file, at least one, UTF-8. Thread-safe.
  virtual std::vector<std::string> captions(int64_t index) const = 0;
  /// The picture's number in the file (COCO's image id), else its position. Unique.
  virtual int64_t image_id(int64_t index) const { return index; }
  /// All that is wrong with this set; pictures without a usable caption are left out of it.
  virtual const std::vector<BadCaption>& bad_captions() const;
};

/// The data set with its captions. Errors (usage): its format holds none, or not one is usable. `where` names it.
std::shared_ptr<const CaptionDataset> require_captions(const std::shared_ptr<const Dataset>& data,
                                                       const std::string& where);

}  // namespace datasets
