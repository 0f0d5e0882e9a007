// The table of `vitkit detect -v`: what each stage of a pipeline costs, and how well the stages overlap.
#pragma once

#include <string>

#include "vit/core/pipeline.h"

namespace apps {

/// Lines of a table: processor milliseconds per item and stage, their sum, and the wall time per item beside what the
/// sum would take on `threads` threads that are never idle. Empty without items.
std::string stage_table(const vit::PipelineReport& report, int threads);

}  // namespace apps
