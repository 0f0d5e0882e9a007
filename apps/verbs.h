// The verbs of vitkit. Each is one file that adds its options to a CLI11 command and returns what to do once they are
// parsed; a new verb is a new file and its line in verbs.cpp.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

#include "apps/common.h"

namespace apps {

/// Does the verb's work with the parsed options; returns the exit status. Errors: vit::Error.
using Action = std::function<int()>;

struct Verb {
  std::string name;
  std::string summary;  ///< one line for `vitkit --help`
  /// Adds the verb's own options. `common` holds the shared ones, and is filled when the action runs; it outlives it.
  Action (*add)(CLI::App& command, const CommonOptions& common);
};

/// In the order of the help text.
const std::vector<Verb>& verbs();

Action add_classify(CLI::App& command, const CommonOptions& common);
Action add_detect(CLI::App& command, const CommonOptions& common);
Action add_caption(CLI::App& command, const CommonOptions& common);
Action add_explain(CLI::App& command, const CommonOptions& common);
Action add_train(CLI::App& command, const CommonOptions& common);
Action add_ablate(CLI::App& command, const CommonOptions& common);
Action add_evaluate(CLI::App& command, const CommonOptions& common);
Action add_robustness(CLI::App& command, const CommonOptions& common);
Action add_verify(CLI::App& command, const CommonOptions& common);
Action add_benchmark(CLI::App& command, const CommonOptions& common);
Action add_doctor(CLI::App& command, const CommonOptions& common);
Action add_scenes(CLI::App& command, const CommonOptions& common);
Action add_export(CLI::App& command, const CommonOptions& common);
Action add_info(CLI::App& command, const CommonOptions& common);

/// Errors (usage) for a first argument that is no verb, with the nearest one.
void require_verb(const std::string& name);

}  // namespace apps
