#include "captioning/caption_text.h"

#include <algorithm>

namespace captioning {

namespace {

std::string without_blanks_around(const std::string& text) {
  constexpr const char* kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  return first == std::string::npos ? std::string() : text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

}  // namespace

bool is_said(const Tokenizer& tokenizer, const CaptionModel& model, int64_t id) {
  if (id >= tokenizer.size() || tokenizer.is_special(id)) return false;
  const StartAndEnd marks = model.start_and_end();
  return id != marks.start && id != marks.pad &&
         std::find(marks.ends.begin(), marks.ends.end(), id) == marks.ends.end();
}

std::string caption_text(const Tokenizer& tokenizer, const CaptionModel& model, const std::vector<int64_t>& ids) {
  std::vector<int64_t> said;
  for (const int64_t id : ids)
    if (is_said(tokenizer, model, id)) said.push_back(id);
  return without_blanks_around(tokenizer.decode(said));
}

}  // namespace captioning
