// Classes that a user names as text, for models that read it (CLIP).
#pragma once

#include <string>
#include <vector>

#include "vit/predictor.h"

namespace apps {

/// "a cat, a dog" -> "a cat", "a dog"; "@FILE": one per line, empty lines skipped. Errors (usage): an empty label, one
/// twice, one that is no UTF-8; the file cannot be read, or has none.
std::vector<std::string> split_labels(const std::string& list);

/// Gives a CLIP model these classes, with its checkpoint's tokenizer. Errors of the result (usage): another model, no
/// tokenizer, a label with too many tokens.
vit::ClassifierOptions::NameClasses text_classes(const std::vector<std::string>& labels);

}  // namespace apps
