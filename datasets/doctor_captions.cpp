// Checks of captions: what cannot be used, and how many there are. Generated sets are right by construction: they are
// not examined.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "datasets/caption_dataset.h"
#include "datasets/doctor.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

/// More findings of one reason are one finding that names the first.
constexpr size_t kListed = 50;

/// Bad captions by reason, in the order of their first.
void report_bad(const ExaminedSplit& split, const CaptionDataset& data, std::vector<Finding>& findings) {
  std::map<std::string, std::vector<const BadCaption*>> by_reason;
  std::vector<std::string> reasons;
  for (const BadCaption& bad : data.bad_captions()) {
    std::vector<const BadCaption*>& alike = by_reason[bad.reason];
    if (alike.empty()) reasons.push_back(bad.reason);
    alike.push_back(&bad);
  }
  for (const std::string& reason : reasons) {
    const std::vector<const BadCaption*>& alike = by_reason[reason];
    const bool is_picture = reason == "no captions";
    const Severity severity = is_picture ? Severity::warning : Severity::error;
    const char* kind = is_picture ? "no_captions" : "bad_caption";
    if (alike.size() > kListed) {
      findings.push_back({severity, kind, split.root,
                          vit::str(alike.size(), " times: ", reason, "; left out; the first is ", alike[0]->source)});
      continue;
    }
    for (const BadCaption* bad : alike) findings.push_back({severity, kind, bad->source, reason + "; left out"});
  }
}

void report_counts(const ExaminedSplit& split, const CaptionDataset& data, std::vector<Finding>& findings) {
  int64_t captions = 0, bytes = 0, repeated = 0;
  std::string first_repeated;
  size_t fewest = SIZE_MAX, most = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    const std::vector<std::string> texts = data.captions(i);
    captions += static_cast<int64_t>(texts.size());
    fewest = std::min(fewest, texts.size());
    most = std::max(most, texts.size());
    for (const std::string& text : texts) bytes += static_cast<int64_t>(text.size());
    if (std::set<std::string>(texts.begin(), texts.end()).size() == texts.size()) continue;
    if (repeated++ == 0) first_repeated = data.source(i);
  }
  if (repeated > 0)
    findings.push_back({Severity::note, "repeated_caption", first_repeated,
                        vit::str(repeated, repeated == 1 ? " picture has" : " pictures have",
                                 " the same caption twice, this one first")});
  const std::string each = fewest == most ? vit::str(most) : vit::str(fewest, " to ", most);
  findings.push_back({Severity::note, "caption_counts", split.root,
                      vit::str(captions, captions == 1 ? " caption of " : " captions of ", data.size(),
                               data.size() == 1 ? " picture, " : " pictures, ", each, " each, ",
                               bytes / std::max<int64_t>(1, captions), " bytes long on average")});
}

void check_captions(const Examination& examination, std::vector<Finding>& findings) {
  for (const ExaminedSplit& split : examination.splits) {
    const auto* data = dynamic_cast<const CaptionDataset*>(split.data.get());
    if (!data) continue;
    report_bad(split, *data, findings);
    report_counts(split, *data, findings);
  }
}

}  // namespace

VITKIT_REGISTER_DOCTOR_CHECK("captions", check_captions);

}  // namespace datasets
