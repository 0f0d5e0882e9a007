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

  /// Pictures with captions have no class.
  const std::vector<std::string>& class_names() const override;
  int64_t label(int64_t /*index*/) const override { return -1; }
};

/// Whether pictures have captions, and neither class nor boxes.
bool has_captions_only(const Dataset& data);

/// The argument of open_dataset where captions are wanted: a folder or file that several formats recognise (COCO's with
/// instances and captions) is read by one that has captions.
std::string caption_spec(const std::string& spec);

/// The data set with its captions; of generated scenes too, and of views of them. Errors (usage): its format holds
/// none. `where` names it.
std::shared_ptr<const CaptionDataset> require_captions(const std::shared_ptr<const Dataset>& data,
                                                       const std::string& where);

}  // namespace datasets
