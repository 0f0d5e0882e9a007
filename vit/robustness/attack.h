// The attacks, by name. Each looks for pictures near the given ones that fool a target; it enters the registry at the
// end of its file. docs/robustness.md says what each is for and how to read what it finds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/registry.h"
#include "vit/robustness/norm_ball.h"
#include "vit/robustness/target.h"

namespace vit {

/// Where an adversarial patch lies.
enum class PatchPosition {
  random,  ///< drawn for each picture and search
  center,
  corner,  ///< the upper left one
};
const std::vector<std::pair<PatchPosition, std::string>>& enum_names(PatchPosition);

struct AttackOptions {
  Norm norm = Norm::linf;
  double eps = 8.0 / 255.0;
  int64_t steps = 20;
  std::optional<double> alpha{};  ///< length of a step; none: 2.5 eps / steps
  int64_t restarts = 1;           ///< searches from other random points, for the pictures that held so far
  bool random_start = true;       ///< of the first search; later ones always begin at random
  AttackLoss loss = AttackLoss::cross_entropy;
  uint64_t seed = 0;
  double share = 0.05;  ///< patches: of the picture's pixels, above 0 and at most 1
  PatchPosition position = PatchPosition::random;

  /// Errors (usage): eps out of range (NormBall::validate), no steps, no restarts, an alpha that is not above 0, a
  /// share out of range.
  void validate(const Tensor& pixels) const;
  double step_length() const { return alpha.value_or(2.5 * eps / static_cast<double>(steps)); }
  NormBall ball() const { return {norm, static_cast<float>(eps)}; }
};

struct AttackBatch {
  Tensor pixels;                    ///< f32 [B, channels, height, width], 0 to 1
  std::vector<AttackGoal> goals{};  ///< of every picture
  /// Of every picture in its data set: what is random about a picture depends on the seed and this number alone, so
  /// that neither batches nor threads change a result.
  std::vector<int64_t> numbers{};

  int64_t size() const { return static_cast<int64_t>(goals.size()); }
  /// The pictures of these places, in memory of their own.
  AttackBatch at(const std::vector<int64_t>& places) const;
};

struct AttackResult {
  Tensor pixels;                 ///< the worst picture found for each
  Tensor logits;                 ///< [B, K], of these
  std::vector<double> losses{};  ///< the objective, of these
  std::vector<char> fooled{};
  int64_t forwards = 0, backwards = 0;  ///< pictures that went through the model, and back with a gradient
};

/// Keeps the worst picture found for each of a batch: one that fools the target before one that does not, then the one
/// of the larger objective.
class WorstFound {
 public:
  /// Until something is offered the pictures are the given ones and fool nobody.
  explicit WorstFound(const Tensor& pixels);

  /// Candidates for the pictures of these places.
  void offer(const std::vector<int64_t>& places, const Tensor& pixels, const TargetAnswer& answer);

  /// The pictures of the batch as they are. They lie in every ball: a search that begins elsewhere offers them first,
  /// so that it never ends with less than what is wrong already.
  void offer_unchanged(TargetProbe& probe, const AttackBatch& batch, AttackLoss loss);

  /// Places of the pictures that nobody was fooled by.
  std::vector<int64_t> unfooled() const;
  AttackResult result(const TargetProbe& probe) const;

 private:
  AttackResult worst_;
};

/// 0, 1, ..., count - 1.
std::vector<int64_t> all_places(int64_t count);

/// What bounds an attack's changes.
enum class AttackBudget {
  ball,   ///< AttackOptions::norm and eps
  share,  ///< AttackOptions::share of the picture, in which anything goes
  cell,   ///< one of the model's own patches, in which anything goes
};

struct AttackEntry {
  std::string title{};               ///< "Projected gradient descent"
  std::string summary{};             ///< a line: how it searches
  std::string source{};              ///< paper
  std::optional<Norm> norm{};        ///< the only one that it knows; none: any
  std::optional<AttackLoss> loss{};  ///< likewise
  AttackBudget budget = AttackBudget::ball;
  /// Why the attack cannot be tried on a target that takes such pictures ("it offers no attention"); empty: it can.
  std::function<std::string(const AttackTarget&, const Tensor& pixels)> refusal{};
  std::function<AttackResult(const AttackTarget&, const AttackBatch&, const AttackOptions&)> run{};
};

Registry<AttackEntry>& attack_registry();

/// Errors (usage): the attack is unknown, or does not apply to the target (with those that do). `pixels`: any such
/// pictures [B, channels, height, width].
void require_attack(const std::string& name, const AttackTarget& target, const Tensor& pixels);

/// What an attack can tell of its options before it runs. `pixels`: any pictures of the size that will be attacked;
/// `classes`: of the model. Errors (usage): AttackOptions::validate, require_classes.
void require_options(const std::string& name, const AttackOptions& options, const Tensor& pixels, int64_t classes,
                     bool targeted);

/// Runs an attack; norm and loss are the attack's own where it has only one. Errors (usage): an unknown one (the known
/// are listed), options out of range. Errors: pictures outside [0, 1], goals that are not one per picture, a target
/// that is the picture's own class.
AttackResult attack(const std::string& name, const AttackTarget& target, const AttackBatch& batch,
                    const AttackOptions& options);

/// At the end of an attack's file: VITKIT_REGISTER_ATTACK("pgd", .title = ..., ...).
#define VITKIT_ATTACK_CONCAT2(a, b) a##b
#define VITKIT_ATTACK_CONCAT(a, b) VITKIT_ATTACK_CONCAT2(a, b)
#define VITKIT_REGISTER_ATTACK(name, ...)                                                        \
  [[maybe_unused]] static const bool VITKIT_ATTACK_CONCAT(vitkit_attack_registered_, __LINE__) = \
      ::vit::attack_registry().add(name, ::vit::AttackEntry{__VA_ARGS__})

}  // namespace vit
