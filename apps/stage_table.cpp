#include "apps/stage_table.h"

#include <fmt/format.h>

namespace apps {

std::string stage_table(const vit::PipelineReport& report, int threads) {
  if (report.items == 0) return "";
  const double per_item = 1e3 / static_cast<double>(report.items);
  const double sum = per_item * report.cpu_seconds(), wall = per_item * report.wall_seconds;
  const double ideal = sum / threads;
  std::string table = fmt::format("{:<14}{:>12}\n", "stage", "CPU ms/frame");
  for (const vit::StageTime& stage : report.stages)
    table += fmt::format("{:<14}{:>12.3f}\n", stage.name, per_item * stage.cpu_seconds);
  table += fmt::format("{:<14}{:>12.3f}\n", "sum", sum);
  table += fmt::format("{:<14}{:>12.3f}   {:.2f} of {} threads busy; {:.3f} if all were, without end ({:+.1f} %)",
                       "wall", wall, wall > 0.0 ? sum / wall : 0.0, threads, ideal,
                       ideal > 0.0 ? 100.0 * (wall / ideal - 1.0) : 0.0);
  return table;
}

}  // namespace apps
