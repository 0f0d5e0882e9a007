// The keys of a training configuration, in groups: `vitkit info --list train_keys` and docs/configs.md.
#pragma once

#include <string>
#include <vector>

#include "apps/config_keys.h"

namespace apps {

struct TrainKey {
  std::string group;  ///< "Data", "Optimizer", ...
  ConfigKey key;
};

/// In the order of the groups, and of the configuration's fields within each.
std::vector<TrainKey> train_keys();

/// As Markdown: a heading per group, a line per key.
std::string train_keys_text();

}  // namespace apps
