// A pipeline: stages that work on successive items at the same time, in bounded memory and on the toolkit's threads.
//
//   const PipelineReport report = run_pipeline<Frame>(
//       [&] { return reader.next(); },  // null: the end
//       {{"infer", StageOrder::any, [&](Frame& frame) { ... }}, {"write", StageOrder::items, [&](Frame& frame) { ...
//       }}});
//
// Stages may use parallel_for: a thread without an item of its own helps those that have one, and a thread that waits
// for helpers takes up nothing else meanwhile. So no core is idle while there is work, whether one item is in flight
// or many.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vit {

enum class StageOrder {
  any,    ///< several items at once, in any order: the stage keeps nothing from one to the next
  items,  ///< one item at a time, in the order in which they were read
};

template <class Item>
struct PipelineStage {
  std::string name;
  StageOrder order = StageOrder::any;
  std::function<void(Item&)> work;
};

struct PipelineOptions {
  /// Items between reading and the end of the last stage, at most; 0: two per thread and two more, so that items which
  /// wait for their turn leave no thread without work.
  int64_t max_items = 0;
  std::string read_name = "read";  ///< of the reading in the report
};

struct StageTime {
  std::string name;
  double cpu_seconds = 0.0;  ///< processor time of all items, see CpuMeter; waiting for a source is none
};

struct PipelineReport {
  std::vector<StageTime> stages;  ///< reading first; stages of one name are one row
  int64_t items = 0;
  double wall_seconds = 0.0;
  double cpu_seconds() const;
};

namespace detail {
using AnyItem = std::shared_ptr<void>;
PipelineReport run_pipeline(const std::function<AnyItem()>& read, const std::vector<PipelineStage<AnyItem>>& stages,
                            const PipelineOptions& options);
}  // namespace detail

/// Reads items until `read` returns null, and takes each through all stages. `read` is called by one thread at a time.
/// Errors: what `read` or a stage throws; items before it went through all stages first, items after it through none
/// that had not begun. Of several errors, that of the earliest item. Negative max_items.
template <class Item>
PipelineReport run_pipeline(const std::function<std::unique_ptr<Item>()>& read,
                            const std::vector<PipelineStage<Item>>& stages, const PipelineOptions& options = {}) {
  std::vector<PipelineStage<detail::AnyItem>> any;
  for (const PipelineStage<Item>& stage : stages)
    any.push_back({stage.name, stage.order,
                   [work = stage.work](detail::AnyItem& item) { work(*static_cast<Item*>(item.get())); }});
  return detail::run_pipeline([&] { return detail::AnyItem(read()); }, any, options);
}

}  // namespace vit
