#include "vit/robustness/attack.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace vit {

namespace {

void copy_row(const Tensor& from, int64_t row, const Tensor& to, int64_t to_row) {
  std::memcpy(to.slice(to_row, to_row + 1).raw(), from.slice(row, row + 1).raw(),
              static_cast<size_t>(from.nbytes() / from.size(0)));
}

/// With the attack's own norm and loss.
AttackOptions options_of(const AttackEntry& entry, const AttackOptions& options) {
  AttackOptions used = options;
  used.norm = entry.norm.value_or(options.norm);
  used.loss = entry.loss.value_or(options.loss);
  return used;
}

}  // namespace

void AttackOptions::validate(const Tensor& pixels) const {
  ball().validate(pixels.numel() / pixels.size(0));
  if (steps < 1) fail_usage("steps must be at least 1, got ", steps);
  if (restarts < 1) fail_usage("restarts must be at least 1, got ", restarts);
  if (alpha && !(*alpha > 0.0)) fail_usage("alpha must be above 0, got ", *alpha);
  if (!(share > 0.0 && share <= 1.0)) fail_usage("share must be above 0 and at most 1, got ", share);
}

const std::vector<std::pair<PatchPosition, std::string>>& enum_names(PatchPosition) {
  static const std::vector<std::pair<PatchPosition, std::string>> names = {
      {PatchPosition::random, "random"}, {PatchPosition::center, "center"}, {PatchPosition::corner, "corner"}};
  return names;
}

AttackBatch AttackBatch::at(const std::vector<int64_t>& places) const {
  std::vector<int64_t> extents(pixels.shape().begin(), pixels.shape().end());
  extents[0] = static_cast<int64_t>(places.size());
  AttackBatch part{.pixels = Tensor::empty(Shape(extents))};
  for (size_t i = 0; i < places.size(); ++i) {
    copy_row(pixels, places[i], part.pixels, static_cast<int64_t>(i));
    part.goals.push_back(goals[static_cast<size_t>(places[i])]);
    part.numbers.push_back(numbers[static_cast<size_t>(places[i])]);
  }
  return part;
}

WorstFound::WorstFound(const Tensor& pixels) {
  const auto count = static_cast<size_t>(pixels.size(0));
  worst_.pixels = pixels.clone();
  worst_.losses.assign(count, -std::numeric_limits<double>::infinity());
  worst_.fooled.assign(count, 0);
}

void WorstFound::offer(const std::vector<int64_t>& places, const Tensor& pixels, const TargetAnswer& answer) {
  check(static_cast<int64_t>(places.size()) == pixels.size(0) && places.size() == answer.losses.size(),
        "attack: ", places.size(), " places for candidates ", pixels.shape());
  if (!worst_.logits.defined())
    worst_.logits = Tensor::zeros({static_cast<int64_t>(worst_.losses.size()), answer.logits.size(1)});
  for (size_t i = 0; i < places.size(); ++i) {
    const auto at = static_cast<size_t>(places[i]);
    const bool fools = answer.fooled[i] != 0, fooled = worst_.fooled[at] != 0;
    const bool worse = fools != fooled ? fools : answer.losses[i] > worst_.losses[at];
    if (!worse) continue;
    copy_row(pixels, static_cast<int64_t>(i), worst_.pixels, places[i]);
    copy_row(answer.logits, static_cast<int64_t>(i), worst_.logits, places[i]);
    worst_.losses[at] = answer.losses[i];
    worst_.fooled[at] = answer.fooled[i];
  }
}

void WorstFound::offer_unchanged(TargetProbe& probe, const AttackBatch& batch, AttackLoss loss) {
  offer(all_places(batch.size()), batch.pixels, probe.answer(batch.pixels, batch.goals, loss));
}

std::vector<int64_t> WorstFound::unfooled() const {
  std::vector<int64_t> places;
  for (size_t i = 0; i < worst_.fooled.size(); ++i)
    if (worst_.fooled[i] == 0) places.push_back(static_cast<int64_t>(i));
  return places;
}

AttackResult WorstFound::result(const TargetProbe& probe) const {
  AttackResult result = worst_;
  result.forwards = probe.forwards();
  result.backwards = probe.backwards();
  return result;
}

std::vector<int64_t> all_places(int64_t count) {
  std::vector<int64_t> places(static_cast<size_t>(count));
  std::iota(places.begin(), places.end(), int64_t{0});
  return places;
}

Registry<AttackEntry>& attack_registry() {
  static Registry<AttackEntry> registry("attack");
  return registry;
}

void require_attack(const std::string& name, const AttackTarget& target, const Tensor& pixels) {
  const AttackEntry& entry = attack_registry().find(name);
  const std::string reason = entry.refusal ? entry.refusal(target, pixels) : std::string();
  if (reason.empty()) return;
  std::vector<std::string> others;
  for (const std::string& other : attack_registry().names()) {
    const AttackEntry& candidate = attack_registry().find(other);
    if (!candidate.refusal || candidate.refusal(target, pixels).empty()) others.push_back(other);
  }
  fail_usage("the attack '", name, "' does not apply to this model: ", reason, "; those that do: ", joined(others));
}

void require_options(const std::string& name, const AttackOptions& options, const Tensor& pixels, int64_t classes,
                     bool targeted) {
  const AttackOptions used = options_of(attack_registry().find(name), options);
  used.validate(pixels);
  require_classes(used.loss, classes, targeted);
}

AttackResult attack(const std::string& name, const AttackTarget& target, const AttackBatch& batch,
                    const AttackOptions& options) {
  const AttackEntry& entry = attack_registry().find(name);
  check(batch.pixels.rank() == 4 && batch.pixels.size(0) > 0,
        "attack: expected pictures [B, channels, height, width], got ", batch.pixels.shape());
  check(batch.pixels.size(0) == batch.size() && batch.numbers.size() == batch.goals.size(), "attack: ", batch.size(),
        " goals and ", batch.numbers.size(), " numbers for pictures ", batch.pixels.shape());
  for (const float value : batch.pixels.span<float>())
    check(value >= 0.0f && value <= 1.0f, "attack: pixels must lie between 0 and 1, got ", value);
  for (const AttackGoal& goal : batch.goals)
    check(goal.target != goal.label, "attack: a picture of class ", goal.label,
          " cannot be aimed at its own class; leave it out");
  const AttackOptions used = options_of(entry, options);
  used.validate(batch.pixels);
  return entry.run(target, batch, used);
}

}  // namespace vit
