#include "apps/text_labels.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "captioning/clip.h"
#include "captioning/tokenizer.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/utf8.h"
#include "vit/io/checkpoint.h"

namespace apps {

std::vector<std::string> split_labels(const std::string& list) {
  constexpr const char* kBlanks = " \t\r\n";
  const bool is_file = list.starts_with('@');
  std::vector<std::string> labels;
  std::istringstream in(is_file ? vit::read_file(list.substr(1)) : list + ",");
  for (std::string label; std::getline(in, label, is_file ? '\n' : ',');) {
    const size_t first = label.find_first_not_of(kBlanks);
    if (is_file && first == std::string::npos) continue;
    if (first == std::string::npos) vit::fail_usage("--labels: label ", labels.size() + 1, " of '", list, "' is empty");
    label = label.substr(first, label.find_last_not_of(kBlanks) + 1 - first);
    if (std::find(labels.begin(), labels.end(), label) != labels.end())
      vit::fail_usage("--labels: '", label, "' is there twice");
    if (!vit::is_utf8(label)) vit::fail_usage("--labels: '", vit::repaired_utf8(label), "' is not UTF-8");
    labels.push_back(std::move(label));
  }
  if (labels.empty()) vit::fail_usage("--labels: there is none in ", list.substr(1));
  return labels;
}

vit::ClassifierOptions::NameClasses text_classes(const std::vector<std::string>& labels) {
  return [labels](vit::ImageModel& model, const vit::Checkpoint& checkpoint) {
    auto* clip = dynamic_cast<captioning::Clip*>(&model);
    if (!clip)
      vit::fail_usage(checkpoint.name(), ": ", model.info().name,
                      " has classes of its own; --labels is for models that read text (CLIP)");
    if (!checkpoint.has_weights())
      vit::fail_usage(checkpoint.name(),
                      " is a configuration without weights, and has no tokenizer to read --labels with");
    clip->set_labels(captioning::Tokenizer::load(checkpoint.dir()), labels);
    return labels;
  };
}

}  // namespace apps
