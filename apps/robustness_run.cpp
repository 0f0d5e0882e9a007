#include "apps/robustness_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <optional>

#include "apps/common.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/core/softmax.h"
#include "vit/core/timer.h"
#include "vit/media/source.h"

namespace apps {

namespace {

constexpr float kWhite = 255.0f;
constexpr const char* kUnknownError = "unknown error";

Record number(double value) { return std::isfinite(value) ? Record(value) : Record(nullptr); }

std::string percent(double value) { return std::isfinite(value) ? fmt::format("{:.2f} %", 100.0 * value) : "-"; }

/// What a condition without an attack finds: the pictures themselves.
vit::AttackResult answered(vit::TargetProbe& probe, const vit::AttackBatch& batch) {
  const vit::TargetAnswer answer = probe.answer(batch.pixels, batch.goals, vit::AttackLoss::cross_entropy);
  return {.pixels = batch.pixels,
          .logits = answer.logits,
          .losses = answer.losses,
          .fooled = answer.fooled,
          .forwards = batch.size()};
}

void add_answers(const vit::AttackBatch& batch, const vit::AttackResult& found, ConditionResult& result) {
  const int64_t classes = found.logits.size(1);
  for (size_t b = 0; b < batch.goals.size(); ++b)
    result.figures.add(found.logits.f32() + static_cast<int64_t>(b) * classes, classes, batch.goals[b].label,
                       result.condition.targeted && found.fooled[b] != 0);
  result.forwards += found.forwards;
  result.backwards += found.backwards;
}

}  // namespace

vit::Tensor to_pixels(const std::vector<vit::Image>& pictures) {
  vit::check(!pictures.empty(), "pixels: there is no picture");
  const int64_t height = pictures.front().height(), width = pictures.front().width();
  const auto count = static_cast<int64_t>(pictures.size());
  vit::Tensor pixels = vit::Tensor::empty({count, 3, height, width});
  vit::parallel_for(count, [&](int64_t b) {
    const uint8_t* bytes = pictures[static_cast<size_t>(b)].row(0);
    float* values = pixels.f32() + b * 3 * height * width;
    for (int64_t i = 0; i < height * width; ++i)
      for (int64_t c = 0; c < 3; ++c) values[c * height * width + i] = static_cast<float>(bytes[i * 3 + c]) / kWhite;
  });
  return pixels;
}

vit::Image to_picture(const vit::Tensor& pixels, int64_t index) {
  vit::Image picture(pixels.size(2), pixels.size(3));
  const int64_t plane = pixels.size(2) * pixels.size(3);
  const float* values = pixels.f32() + index * 3 * plane;
  for (int64_t i = 0; i < plane; ++i)
    for (int64_t c = 0; c < 3; ++c)
      picture.row(0)[i * 3 + c] =
          static_cast<uint8_t>(std::lround(kWhite * std::clamp(values[c * plane + i], 0.0f, 1.0f)));
  return picture;
}

RobustnessPictures::RobustnessPictures(const datasets::Dataset& data, const vit::Preprocessor& preprocessor,
                                       std::vector<int64_t> classes, int64_t limit, int64_t batch_size)
    : data_(data), preprocessor_(preprocessor), classes_(std::move(classes)), batch_size_(batch_size) {
  const int64_t all = data.size(), count = limit > 0 ? std::min(limit, all) : all;
  for (int64_t i = 0; i < count; ++i) chosen_.push_back(i * all / count);
}

std::vector<int64_t> RobustnessPictures::spread(int64_t count) const {
  std::vector<int64_t> numbers;
  const int64_t all = size(), used = std::min(count, all);
  for (int64_t i = 0; i < used; ++i) numbers.push_back(chosen_[static_cast<size_t>((2 * i + 1) * all / (2 * used))]);
  return numbers;
}

std::vector<vit::Image> RobustnessPictures::load(const std::vector<int64_t>& numbers, const Change& change,
                                                 std::vector<std::string>& errors) const {
  std::vector<vit::Image> pictures(numbers.size());
  errors.assign(numbers.size(), {});
  vit::parallel_for(static_cast<int64_t>(numbers.size()), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    try {
      const vit::Image seen = preprocessor_.resized(data_.load(numbers[at]));
      pictures[at] = change ? change(seen, numbers[at]) : seen;
    } catch (const std::exception& error) {  // memory and decoders have errors of their own
      errors[at] = vit::without_source(error.what(), data_.source(numbers[at]));
      if (errors[at].empty()) errors[at] = kUnknownError;
    } catch (...) {
      errors[at] = kUnknownError;
    }
  });
  return pictures;
}

void RobustnessPictures::each_batch(const Change& change, const Use& use) {
  std::vector<int64_t> readable;
  std::vector<std::string> errors;
  const int64_t count = size();
  for (int64_t begin = 0; begin < count; begin += batch_size_) {
    const std::vector<int64_t> numbers(chosen_.begin() + begin, chosen_.begin() + std::min(count, begin + batch_size_));
    std::vector<vit::Image> loaded = load(numbers, change, errors);
    std::vector<vit::Image> pictures;
    vit::AttackBatch batch;
    const auto flush = [&] {
      if (pictures.empty()) return;
      batch.pixels = to_pixels(pictures);
      use(batch);
      pictures.clear();
      batch = {};
    };
    for (size_t i = 0; i < numbers.size(); ++i) {
      if (!errors[i].empty()) {
        print_error(fmt::format("{}: {}", data_.source(numbers[i]), errors[i]));
        unreadable_.push_back({data_.source(numbers[i]), errors[i]});
        continue;
      }
      readable.push_back(numbers[i]);
      // Models whose input depends on the picture get pictures of one size at a time.
      if (!pictures.empty() && (loaded[i].height() != pictures[0].height() || loaded[i].width() != pictures[0].width()))
        flush();
      pictures.push_back(std::move(loaded[i]));
      batch.goals.push_back({.label = classes_[static_cast<size_t>(data_.label(numbers[i]))]});
      batch.numbers.push_back(numbers[i]);
    }
    flush();
  }
  chosen_ = std::move(readable);
}

void ConditionFigures::add(const float* logits, int64_t classes, int64_t label, bool reached) {
  metrics_.add(logits, classes, label);
  const int64_t predicted = vit::predicted_class(logits, classes);
  calibration_.add(vit::softmax_probability(logits, classes, predicted), predicted == label);
  reached_ += reached ? 1 : 0;
}

ConditionResult measure(RobustnessPictures& pictures, const vit::AttackTarget& target, const Condition& condition,
                        const std::function<void(int64_t)>& advance, const BatchSeen& seen) {
  ConditionResult result{.condition = condition};
  vit::TargetProbe probe(target);
  vit::AttackBatch aimed;
  const vit::Timer timer;
  pictures.each_batch(condition.change, [&](const vit::AttackBatch& batch) {
    const vit::AttackBatch& used = condition.aim ? aimed = condition.aim(batch) : batch;
    result.left_out += batch.size() - used.size();
    if (used.size() > 0) {
      const vit::AttackResult found = condition.attack ? condition.attack(used) : answered(probe, used);
      add_answers(used, found, result);
      if (seen) seen(used, found);
    }
    advance(batch.size());
  });
  result.seconds = timer.seconds();
  return result;
}

Record condition_record(const ConditionResult& result, int64_t errors) {
  const Condition& condition = result.condition;
  Record record = {{"kind", condition.kind},
                   {"name", condition.name.empty() ? Record(nullptr) : Record(condition.name)}};
  for (const char* key : {"norm", "eps", "steps", "restarts", "target", "share", "severity"})
    record[key] = condition.facts.contains(key) ? condition.facts.at(key) : Record(nullptr);
  const ConditionFigures& figures = result.figures;
  record["images"] = figures.count();
  record["errors"] = errors;
  record["accuracy"] = number(figures.accuracy());
  record["loss"] = number(figures.loss());
  record["confidence"] = number(figures.calibration().confidence());
  record["ece"] = number(figures.calibration().expected_error());
  record["reached"] = condition.targeted ? number(figures.reached()) : Record(nullptr);
  record["left_out"] = condition.targeted ? Record(result.left_out) : Record(nullptr);
  record["passes"] = result.forwards + result.backwards;
  record["seconds"] = result.seconds;
  return record;
}

std::string condition_text(const ConditionResult& result) {
  const ConditionFigures& figures = result.figures;
  std::string text =
      fmt::format("{:<28} accuracy {:>8}   loss {:>8.4f}   confidence {:>8}   calibration error {:>8}",
                  result.condition.title, percent(figures.accuracy()), figures.loss(),
                  percent(figures.calibration().confidence()), percent(figures.calibration().expected_error()));
  if (result.condition.targeted) text += fmt::format("   target reached {:>8}", percent(figures.reached()));
  if (result.left_out > 0) text += fmt::format("   {} of the target class left out", result.left_out);
  return text + "\n";
}

}  // namespace apps
