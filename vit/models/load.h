// From a checkpoint's tensors to a model's parameters: names are translated by a table, everything that does not fit is
// reported at once, and each module packs its weights as soon as it has them, in parallel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/io/weights.h"
#include "vit/models/model.h"

namespace vit {

/// One line of a key map: our parameter, and the checkpoint's tensors that make it (several are stacked along the first
/// axis). `{i}` stands for the name's first number, `{p}` for KeyMap::prefix; a rule without `{i}` goes before one with
/// it.
struct KeyRule {
  std::string ours;
  std::vector<std::string> theirs;
  bool transposed = false;  ///< the checkpoint's matrices are [in, out]: GPT-2's Conv1D
};

/// How a foreign checkpoint names its tensors. Without rules the names are ours (timm's).
struct KeyMap {
  std::vector<KeyRule> rules;
  std::string prefix;
  /// Tensors that the model has no use for, and that are no sign of a wrong checkpoint. May contain `{i}` and `{p}`.
  std::vector<std::string> ignored;
};

/// The checkpoint's tensors that make our parameter of this name, in the order in which they are stacked.
std::vector<std::string> checkpoint_names(const KeyMap& keys, const std::string& parameter);

/// Whether the checkpoint has the transpose of our parameter of this name.
bool checkpoint_transposed(const KeyMap& keys, const std::string& parameter);

/// The model's own names behind a prefix: a part of another model's checkpoint, such as a detector's backbone.
KeyMap prefixed_keys(Module& model, const std::string& prefix);

/// What follows loading: inference packs the weights and drops the plain ones, training needs them plain.
enum class Purpose { inference, training };

/// Fills every parameter from the weights and prepares the model for its purpose.
/// Errors (usage): missing, unexpected and wrongly shaped tensors, all of them by name.
void load_parameters(ImageModel& model, const Weights& weights, const KeyMap& keys,
                     Purpose purpose = Purpose::inference);

/// Fills every parameter from its initialiser and prepares the model. The same seed gives the same bytes.
void initialise_parameters(ImageModel& model, uint64_t seed, Purpose purpose = Purpose::inference);

/// Fills one parameter from its initialiser: a function of the seed and the name.
void initialise_parameter(const std::string& name, Parameter& parameter, uint64_t seed);

/// Fills every parameter with zeros and prepares the model: for those who ask for its shape and cost.
void zero_parameters(ImageModel& model, Purpose purpose = Purpose::inference);

}  // namespace vit
