// CLIP as a classifier: classes are texts, and a picture is of the one that it is most alike (Radford et al. 2021,
// section 3.1).
#pragma once

#include <string>
#include <vector>

#include "vit/predictor.h"

namespace captioning {

/// A classifier whose classes are `texts`, in this order; their vectors are computed once, here. Scores are the softmax
/// of exp(logit_scale) times the cosines. Texts are taken as they are: "a photo of a cat" is often better than "cat".
/// Errors: vit::Error, naming the file and what is wrong with it. Usage: a model that reads no text; no text, one that
/// is empty, stands twice or is too long for the model.
vit::Classifier zero_shot_classifier(const std::string& model, const std::vector<std::string>& texts,
                                     const vit::ClassifierOptions& options = {});

/// Whether a model compares pictures with texts, so that it needs them to classify, by its configuration.
bool needs_texts(const std::string& model);

/// "a cat,a dog", or "@FILE" with a text per line -> the texts, without blanks around them. Errors (usage): no text;
/// the file cannot be read or is no UTF-8.
std::vector<std::string> read_texts(const std::string& texts);

}  // namespace captioning
