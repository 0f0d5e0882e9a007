#include "datasets/corruption_evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "datasets/classification_report.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"

namespace datasets {

namespace {

void require_sensible(const CorruptedModel& model, const Dataset& data, const CorruptionEvaluation& options) {
  if (!model.preprocessor.fixed_size())
    vit::fail_usage("corruptions: the model takes pictures of any size (", model.preprocessor.description(),
                    "); set one");
  if (model.classes.size() != data.class_names().size())
    vit::fail_usage("corruptions: ", model.classes.size(), " classes of the model were named for the data's ",
                    data.class_names().size());
  if (options.severities.empty()) vit::fail_usage("corruptions: no severity is asked for");
  for (const int64_t severity : options.severities)
    if (severity < 1 || severity > kCorruptionSeverities)
      vit::fail_usage("corruptions: severities are 1 to ", kCorruptionSeverities, ", got ", severity);
  if (options.limit < 0 || options.batch_size < 1)
    vit::fail_usage("corruptions: expected a limit of at least 0 and a batch of at least 1, got ", options.limit,
                    " and ", options.batch_size);
}

/// The pictures that are used, spread evenly over the data.
std::vector<int64_t> chosen_pictures(int64_t size, int64_t limit) {
  const int64_t count = limit > 0 ? std::min(limit, size) : size;
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i * size / count);
  return numbers;
}

/// Runs one condition after another over the same pictures.
class Evaluator {
 public:
  Evaluator(const CorruptedModel& model, const Dataset& data, const CorruptionEvaluation& options)
      : model_(model),
        data_(data),
        options_(options),
        size_(*model.preprocessor.fixed_size()),
        normalise_({}, model.preprocessor.to_float()),
        numbers_(chosen_pictures(data.size(), options.limit)) {}

  CorruptionResult run(const std::string& family, int64_t severity) const {
    CorruptionResult result{.family = family, .severity = severity};
    std::optional<ClassificationReport> report;
    const auto count = static_cast<int64_t>(numbers_.size());
    for (int64_t begin = 0; begin < count; begin += options_.batch_size)
      add_batch(begin, std::min(count, begin + options_.batch_size), result, report);
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    result.pictures = report ? report->overall().count() : 0;
    result.accuracy = report ? report->overall().top1() : kNone;
    result.loss = report ? report->overall().loss() : kNone;
    result.confidence = report ? report->calibration().confidence() : kNone;
    result.calibration = report ? report->calibration().expected_error() : kNone;
    return result;
  }

 private:
  /// Into `output` [3, height, width]; false where the picture cannot be read.
  bool make(int64_t number, const CorruptionResult& condition, float* output) const {
    vit::Image picture;
    try {
      picture = model_.preprocessor.resized(data_.load(number));
    } catch (const vit::Error&) {
      return false;
    }
    if (!condition.family.empty())
      picture = corrupt(picture, condition.family, condition.severity, options_.seed, number);
    normalise_.run(picture, output);
    return true;
  }

  void add_batch(int64_t begin, int64_t end, CorruptionResult& result,
                 std::optional<ClassificationReport>& report) const {
    const int64_t values = 3 * size_.height * size_.width;
    vit::Tensor pixels = vit::Tensor::empty({end - begin, 3, size_.height, size_.width});
    std::vector<uint8_t> made(static_cast<size_t>(end - begin));
    vit::parallel_try(end - begin, [&](int64_t b) {
      const int64_t number = numbers_[static_cast<size_t>(begin + b)];
      made[static_cast<size_t>(b)] = make(number, result, pixels.f32() + b * values) ? 1 : 0;
    });
    int64_t kept = 0;
    std::vector<int64_t> labels;
    for (int64_t b = 0; b < end - begin; ++b) {
      if (made[static_cast<size_t>(b)] == 0) continue;
      if (kept != b) std::copy_n(pixels.f32() + b * values, values, pixels.f32() + kept * values);
      labels.push_back(data_.label(numbers_[static_cast<size_t>(begin + b)]));
      ++kept;
    }
    result.unreadable += end - begin - kept;
    if (kept == 0) return;
    const vit::Tensor logits = model_.logits(pixels.slice(0, kept));
    if (!report) report.emplace(model_.classes, logits.size(1));
    for (int64_t b = 0; b < kept; ++b) report->add(logits.f32() + b * logits.size(1), labels[static_cast<size_t>(b)]);
  }

  const CorruptedModel& model_;
  const Dataset& data_;
  const CorruptionEvaluation& options_;
  vit::Extent size_;
  vit::Preprocessor normalise_;  // without steps: the arithmetic only
  std::vector<int64_t> numbers_;
};

}  // namespace

std::vector<CorruptionResult> evaluate_corruptions(const CorruptedModel& model, const Dataset& data,
                                                   const CorruptionEvaluation& options,
                                                   const std::function<void(const CorruptionResult&)>& told) {
  require_sensible(model, data, options);
  const std::vector<std::string> families = named_corruptions(options.families);
  if (families.empty()) vit::fail_usage("corruptions: no family is asked for");
  const Evaluator evaluator(model, data, options);
  std::vector<CorruptionResult> results;
  const auto add = [&](const std::string& family, int64_t severity) {
    results.push_back(evaluator.run(family, severity));
    if (told) told(results.back());
  };
  if (options.clean) add({}, 0);
  for (const std::string& family : families)
    for (const int64_t severity : options.severities) add(family, severity);
  return results;
}

CorruptionErrors errors_of(const std::vector<CorruptionResult>& results) {
  CorruptionErrors errors;
  for (const CorruptionResult& result : results) {
    if (!std::isfinite(result.accuracy)) continue;
    if (result.family.empty())
      errors.clean = 1.0 - result.accuracy;
    else
      errors.corrupted[result.family][result.severity] = 1.0 - result.accuracy;
  }
  return errors;
}

}  // namespace datasets
