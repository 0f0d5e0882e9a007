// A classifier under corruptions, as a library's call: what `vitkit robustness --corruptions` measures.
//
//   const auto classifier = vit::Classifier::load("cifar10");
//   const auto mapping = datasets::map_classes(data.class_names(), classifier.labels());
//   const auto results = datasets::evaluate_corruptions(
//       {.preprocessor = classifier.preprocessor(), .classes = mapping.classes,
//        .logits = [&](const vit::Tensor& pixels) { return classifier.logits(pixels); }}, data, {.limit = 1000});
//   const auto summary = datasets::summarise_corruptions(datasets::errors_of(results));
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "datasets/corruption_error.h"
#include "datasets/dataset.h"
#include "vit/core/tensor.h"
#include "vit/image/preprocess.h"

namespace datasets {

/// What answers.
struct CorruptedModel {
  vit::Preprocessor preprocessor{};
  std::vector<int64_t> classes{};  ///< the model's class of each class of the data
  /// Pixels f32 [B, 3, height, width] -> logits f32 [B, K].
  std::function<vit::Tensor(const vit::Tensor&)> logits{};
};

struct CorruptionEvaluation {
  std::vector<std::string> families = {"all"};  ///< as named_corruptions takes them
  std::vector<int64_t> severities = {1, 2, 3, 4, 5};
  bool clean = true;  ///< the pictures as they are, first
  int64_t limit = 0;  ///< pictures, spread evenly over the data; 0: all
  int64_t batch_size = 50;
  uint64_t seed = 0;
};

/// Figures under one corruption; of the pictures as they are the family is empty and the severity 0.
struct CorruptionResult {
  std::string family{};
  int64_t severity = 0;
  int64_t pictures = 0, unreadable = 0;
  double accuracy = 0.0, loss = 0.0;           ///< NaN where no picture could be read
  double confidence = 0.0, calibration = 0.0;  ///< mean confidence, expected calibration error; NaN likewise
};

/// Every picture is decoded, resized and cropped as the model has it, spoilt as 8 bits, and normalised, as ImageNet-C
/// was made. Chance depends on (seed, the picture's number in the data, family). `told` is called after each result.
/// Errors (usage): an unknown family, a severity outside 1 to 5, none of them, a limit below 0, a batch below 1, a
/// model without one input size, classes that are not as many as the
/// data's; as corrupt().
std::vector<CorruptionResult> evaluate_corruptions(const CorruptedModel& model, const Dataset& data,
                                                   const CorruptionEvaluation& options = {},
                                                   const std::function<void(const CorruptionResult&)>& told = {});

/// 1 - accuracy, for summarise_corruptions().
CorruptionErrors errors_of(const std::vector<CorruptionResult>& results);

}  // namespace datasets
