// Pictures with captions that were listed from files: what COCO, Karpathy and tables have in common once they are read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/caption_dataset.h"
#include "vit/image/decode.h"

namespace datasets {

struct CaptionedPicture {
  std::string path{};
  int64_t id = 0;
  std::vector<std::string> captions{};
};

struct CaptionList {
  std::vector<CaptionedPicture> pictures{};
  std::vector<BadCaption> bad{};
  std::vector<std::string> skipped{};  ///< as Dataset::skipped
};

/// Adds a caption to a picture, without blanks around it and with one space for those within; one that cannot be used
/// is reported. `place` says where it stands.
void add_caption(CaptionList& list, CaptionedPicture& picture, const std::string& text, const std::string& place);

/// What to say of a picture that is not where `file` has it: its captions are of no use.
BadCaption no_such_picture(const CaptionedPicture& picture, const std::string& file);

/// Moves pictures without a caption from the list to what is wrong with it.
void leave_out_uncaptioned(CaptionList& list);

/// Pictures are read when they are asked for. Errors (usage): no picture has a usable caption; `where` names the set.
std::shared_ptr<const CaptionDataset> make_captioned_dataset(CaptionList list, const vit::DecodeOptions& decode,
                                                             const std::string& where);

}  // namespace datasets
