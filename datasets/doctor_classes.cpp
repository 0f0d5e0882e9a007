// Checks of classes and labels, within a split and between splits.
#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "datasets/doctor.h"
#include "datasets/label_check.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace {

constexpr size_t kNamedClasses = 100;

std::string quoted(const std::string& name) { return "'" + name + "'"; }

bool is_number(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); });
}

/// Names that people would take for the same: without case, with blanks for '_' and '-', without outer and double
/// blanks.
std::string normalised(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const bool blank = c == '_' || c == '-' || std::isspace(static_cast<unsigned char>(c));
    if (!blank) text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (blank && !text.empty() && text.back() != ' ') text += ' ';
  }
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

void check_counts(const ExaminedSplit& split, bool is_training, const DoctorOptions& options,
                  std::vector<Finding>& findings) {
  const std::vector<std::string>& names = split.data->class_names();
  const std::vector<int64_t> counts = class_counts(*split.data);
  std::vector<std::string> all;
  size_t smallest = 0, largest = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    all.push_back(vit::str(names[i], " ", counts[i]));
    if (counts[i] == 0)
      findings.push_back({is_training ? Severity::error : Severity::warning, "empty_class", split.root,
                          "class " + quoted(names[i]) + " has no picture"});
    if (counts[i] > counts[largest]) largest = i;
    if (counts[i] > 0 && (counts[smallest] == 0 || counts[i] < counts[smallest])) smallest = i;
  }
  findings.push_back(
      {Severity::note, "class_counts", split.root,
       vit::str(split.data->size(), " pictures in ", counts.size(), " classes: ", vit::joined(all, kNamedClasses))});
  if (counts.empty() || counts[smallest] == 0) return;
  const double ratio = static_cast<double>(counts[largest]) / static_cast<double>(counts[smallest]);
  if (ratio > options.max_imbalance)
    findings.push_back(
        {Severity::warning, "imbalance", split.root,
         vit::str("class ", quoted(names[largest]), " has ", counts[largest], " pictures, ", quoted(names[smallest]),
                  " ", counts[smallest], "; a balanced or weighted sampler helps")});
}

void check_labels(const ExaminedSplit& split, std::vector<Finding>& findings) {
  const auto classes = static_cast<int64_t>(split.data->class_names().size());
  std::map<int64_t, std::pair<int64_t, int64_t>> wrong;  // label -> first picture, how many
  for (int64_t i = 0; i < split.data->size(); ++i) {
    const int64_t label = split.data->label(i);
    if (label < 0 || label >= classes) ++wrong.try_emplace(label, i, 0).first->second.second;
  }
  for (const auto& [label, entry] : wrong)
    findings.push_back({Severity::error, "label_out_of_range", split.data->source(entry.first),
                        vit::str("label ", label, " of ", entry.second, " pictures, but there are ", classes,
                                 " classes (0 to ", classes - 1, ")")});
}

void check_names(const ExaminedSplit& split, std::vector<Finding>& findings) {
  const std::vector<std::string>& names = split.data->class_names();
  std::map<std::string, std::string> seen;
  size_t numbers = 0;
  for (const std::string& name : names) {
    numbers += is_number(name) ? 1 : 0;
    const auto [other, is_new] = seen.emplace(normalised(name), name);
    if (!is_new)
      findings.push_back({Severity::warning, "odd_label", split.root,
                          "classes " + quoted(other->second) + " and " + quoted(name) +
                              " differ in case, blanks or "
                              "hyphens only"});
    const auto is_blank = [](unsigned char c) { return std::isspace(c); };
    if (name.empty() || is_blank(static_cast<unsigned char>(name.front())) ||
        is_blank(static_cast<unsigned char>(name.back())))
      findings.push_back({Severity::warning, "odd_label", split.root,
                          "class " + quoted(name) + (name.empty() ? " has no name" : " begins or ends with a blank")});
  }
  if (numbers > 0 && numbers < names.size())
    findings.push_back({Severity::warning, "odd_label", split.root,
                        vit::str(numbers, " of ", names.size(), " classes are named by numbers, the others are not")});
}

/// Classes of a later split against those trained on.
void compare_classes(const ExaminedSplit& train, const ExaminedSplit& other, std::vector<Finding>& findings) {
  const std::vector<std::string>&names = train.data->class_names(), &others = other.data->class_names();
  if (names == others) return;
  const std::set<std::string> known(names.begin(), names.end()), there(others.begin(), others.end());
  std::vector<std::string> unknown, missing;
  for (const std::string& name : others)
    if (known.count(name) == 0) unknown.push_back(quoted(name));
  for (const std::string& name : names)
    if (there.count(name) == 0) missing.push_back(quoted(name));
  if (!unknown.empty())
    findings.push_back({Severity::error, "unknown_class", other.root,
                        "not in " + train.title() + ": " + vit::joined(unknown, kNamedClasses)});
  if (!missing.empty())
    findings.push_back({Severity::warning, "missing_class", other.root,
                        "in " + train.title() + " only: " + vit::joined(missing, kNamedClasses) +
                            "; tools that number classes by rank number these splits differently"});
  if (unknown.empty() && missing.empty())
    findings.push_back({Severity::warning, "class_order", other.root, "other class numbers than in " + train.title()});
}

void check_classes(const Examination& examination, std::vector<Finding>& findings) {
  for (const ExaminedSplit& split : examination.splits) {
    const bool is_training = &split == &examination.splits.front();
    if (has_picture_classes(*split.data)) {
      check_counts(split, is_training, examination.options, findings);
      check_labels(split, findings);
    }
    check_names(split, findings);
    if (!is_training) compare_classes(examination.splits.front(), split, findings);
  }
}

}  // namespace

VITKIT_REGISTER_DOCTOR_CHECK("classes", check_classes);

}  // namespace datasets
