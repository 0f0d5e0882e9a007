#include "apps/sheet.h"

#include <fmt/format.h>

#include "vit/image/decode.h"
#include "vit/image/encode.h"

namespace apps {

void AnswerSheet::add(const std::string& picture, const vit::Prediction& answer, const vit::ClassLabels& labels) {
  constexpr size_t kMostDrawn = 96;
  if (path_.empty()) return;
  const std::string folder = std::filesystem::path(picture).parent_path().filename().string();
  const std::optional<int64_t> truth = labels.find(folder);
  const bool right = truth && *truth == answer.index;
  ++pictures_;
  known_ += truth ? 1 : 0;
  right_ += right ? 1 : 0;
  if (sheet_.items.size() == kMostDrawn) return;
  vit::SheetItem item{.picture = vit::load_image(picture, {.max_pixels = max_pixels_}),
                      .caption = fmt::format("{} {:.0f} %", answer.label, 100.0 * answer.score)};
  if (truth) item.mark = right ? vit::SheetMark::right : vit::SheetMark::wrong;
  if (truth && !right) item.caption += "\nis: " + folder;
  sheet_.items.push_back(std::move(item));
}

bool AnswerSheet::save() const {
  if (path_.empty() || sheet_.items.empty()) return false;
  vit::save_image(path_, vit::contact_sheet(sheet_));
  return true;
}

std::string AnswerSheet::summary() const {
  std::string text = fmt::format("{} pictures", pictures_);
  if (static_cast<int64_t>(sheet_.items.size()) < pictures_)
    text += fmt::format(", the first {} drawn", sheet_.items.size());
  if (known_ > 0) text += fmt::format(", {} of {} with a known class are right", right_, known_);
  return text;
}

}  // namespace apps
