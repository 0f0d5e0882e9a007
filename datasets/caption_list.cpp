#include "datasets/caption_list.h"

#include <utility>

#include "datasets/data_file.h"
#include "vit/core/check.h"
#include "vit/core/utf8.h"

namespace datasets {

namespace {

/// Bytes of one sentence; more is a slip of whoever made the file.
constexpr size_t kMaxCaptionBytes = size_t{16} << 10;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; }

/// Without blanks around it, with one space for those within.
std::string tidied(const std::string& text) {
  std::string tidy;
  bool pending = false;
  for (const char c : text) {
    if (is_blank(c)) {
      pending = !tidy.empty();
      continue;
    }
    if (std::exchange(pending, false)) tidy += ' ';
    tidy += c;
  }
  return tidy;
}

class CaptionedPictures : public CaptionDataset {
 public:
  CaptionedPictures(CaptionList list, const vit::DecodeOptions& decode) : list_(std::move(list)), decode_(decode) {}

  int64_t size() const override { return static_cast<int64_t>(list_.pictures.size()); }
  std::string source(int64_t index) const override { return picture(index).path; }
  vit::Image load(int64_t index) const override { return vit::load_image(picture(index).path, decode_); }
  std::string encoded(int64_t index) const override { return read_picture_file(picture(index).path); }
  std::vector<std::string> skipped() const override { return list_.skipped; }
  std::vector<std::string> captions(int64_t index) const override { return picture(index).captions; }
  int64_t image_id(int64_t index) const override { return picture(index).id; }
  const std::vector<BadCaption>& bad_captions() const override { return list_.bad; }

 private:
  const CaptionedPicture& picture(int64_t index) const { return list_.pictures.at(static_cast<size_t>(index)); }

  CaptionList list_;
  vit::DecodeOptions decode_;
};

}  // namespace

void add_caption(CaptionList& list, CaptionedPicture& picture, const std::string& text, const std::string& place) {
  std::string tidy = tidied(text);
  std::string reason;
  if (tidy.empty()) reason = "empty caption";
  if (!vit::is_utf8(tidy) || tidy.find(vit::kReplacementCharacter) != std::string::npos) reason = "not UTF-8";
  if (tidy.size() > kMaxCaptionBytes)
    reason = vit::str("a caption of ", tidy.size(), " bytes, at most ", kMaxCaptionBytes, " are one");
  if (tidy.find('\0') != std::string::npos) reason = "a zero byte";
  if (reason.empty())
    picture.captions.push_back(std::move(tidy));
  else
    list.bad.push_back({vit::str(picture.path, " (", place, ")"), std::move(reason)});
}

BadCaption no_such_picture(const CaptionedPicture& picture, const std::string& file) {
  return {vit::str(picture.path, " (", file, ")"), vit::str("no such picture, but ", picture.captions.size(),
                                                            picture.captions.size() == 1 ? " caption" : " captions")};
}

void leave_out_uncaptioned(CaptionList& list) {
  std::vector<CaptionedPicture> kept;
  for (CaptionedPicture& picture : list.pictures) {
    if (picture.captions.empty())
      list.bad.push_back({picture.path, "no captions"});
    else
      kept.push_back(std::move(picture));
  }
  list.pictures = std::move(kept);
}

std::shared_ptr<const CaptionDataset> make_captioned_dataset(CaptionList list, const vit::DecodeOptions& decode,
                                                             const std::string& where) {
  if (list.pictures.empty())
    vit::fail_usage(
        "data ", where, ": there is no picture with a usable caption",
        list.bad.empty() ? "" : vit::str(", beginning with ", list.bad.front().source, ": ", list.bad.front().reason));
  return std::make_shared<CaptionedPictures>(std::move(list), decode);
}

}  // namespace datasets
