#include "vit/core/timer.h"

#include <algorithm>

namespace vit {

void StageProfile::add(std::string_view name, double seconds) {
  auto found = std::find_if(stages_.begin(), stages_.end(), [&](const Stage& stage) { return stage.name == name; });
  if (found == stages_.end()) found = stages_.insert(stages_.end(), Stage{std::string(name)});
  found->seconds += seconds;
  ++found->calls;
}

}  // namespace vit
