#include "captioning/zero_shot.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "captioning/clip.h"
#include "captioning/tokenizer.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/utf8.h"
#include "vit/image/preprocess.h"
#include "vit/io/checkpoint.h"
#include "vit/models/build.h"
#include "vit/models/labels.h"
#include "vit/predictor_parts.h"

namespace captioning {

namespace {

std::string trimmed(const std::string& text) {
  constexpr const char* kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  return first == std::string::npos ? std::string() : text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

void check_texts(const std::vector<std::string>& texts) {
  if (texts.empty()) vit::fail_usage("labels: there is no text; name the classes, such as \"a cat,a dog\"");
  std::set<std::string> seen;
  for (const std::string& text : texts) {
    if (text.empty()) vit::fail_usage("labels: one of the texts is empty");
    if (!vit::is_utf8(text)) vit::fail_usage("labels: '", vit::repaired_utf8(text), "' is not UTF-8");
    if (!seen.insert(text).second) vit::fail_usage("labels: '", text, "' stands twice");
  }
}

}  // namespace

std::vector<std::string> read_texts(const std::string& texts) {
  const bool is_file = texts.starts_with('@');
  std::istringstream list(is_file ? vit::read_file(texts.substr(1)) : texts);
  std::vector<std::string> all;
  for (std::string text; std::getline(list, text, is_file ? '\n' : ',');)
    if (text = trimmed(text); !text.empty()) all.push_back(text);
  check_texts(all);
  return all;
}

bool needs_texts(const std::string& model) {
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(model);
  if (!checkpoint.has_weights()) return false;
  const nlohmann::json& config = checkpoint.config();
  // Hugging Face's, and one that was described by the toolkit.
  return config.value(nlohmann::json::json_pointer("/model_type"), nlohmann::json()) == "clip" ||
         config.value(nlohmann::json::json_pointer("/vitkit/model/type"), nlohmann::json()) == "clip";
}

vit::Classifier zero_shot_classifier(const std::string& name, const std::vector<std::string>& texts,
                                     const vit::ClassifierOptions& options) {
  check_texts(texts);
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(name);
  vit::ClassifierParts parts{.model = vit::load_model(checkpoint, {.input_size = {}, .seed = options.seed}),
                             .preprocessor = {},
                             .labels = vit::ClassLabels::from_names(texts),
                             .trained = checkpoint.has_weights()};
  auto* clip = dynamic_cast<Clip*>(parts.model.get());
  if (!clip)
    vit::fail_usage("--labels needs a model that reads text (CLIP), and ", name, " (", parts.model->info().name,
                    ") is none: its classes are its own");
  if (!checkpoint.has_weights())
    vit::fail_usage(name, ": a configuration without weights has no tokenizer to read texts with; name a checkpoint");
  parts.preprocessor = vit::load_preprocessor(checkpoint, *clip, options.img_size);
  if (const std::optional<vit::Extent> size = parts.preprocessor.fixed_size())
    if (size->height != clip->info().input_size[0] || size->width != clip->info().input_size[1])
      clip->set_input_size(size->height, size->width);
  clip->set_labels(Tokenizer::load(checkpoint.dir()), texts);
  return vit::Classifier(std::move(parts), options.topk);
}

}  // namespace captioning
