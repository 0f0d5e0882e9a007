// Tracking by detection: which object of this frame is which of the last. docs/tracking.md has the methods.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "detection/postprocess.h"
#include "vit/core/config_node.h"
#include "vit/core/registry.h"

namespace detection {

/// An object that is followed.
struct TrackedDetection {
  Detection detection;
  int64_t track = -1;  ///< from 1, in the order in which tracks were first reported; -1: not (yet) followed
};

/// One per stream; frames come in order. Deterministic. Implementations register by the name that YAML's `type` has.
class Tracker {
 public:
  virtual ~Tracker() = default;
  /// All detections of a frame (low scores included: ByteTrack uses them), at `time_s` -> those that are reported, with
  /// their tracks, best score first: what the tracker takes for an object by its score alone, followed yet or not, and
  /// what continues a track. A time that is not later than the last counts as 1/30 s later. Errors: a box, score or
  /// time that is not finite; the tracker is then as it was.
  virtual std::vector<TrackedDetection> update(const std::vector<Detection>& detections, double time_s) = 0;
  /// Detections of lower scores are not looked at.
  virtual double least_score() const = 0;
};

/// Makes a tracker from its options: the YAML node without `type`. Errors (usage): an unknown key, a value out of
/// range.
using TrackerFactory = std::function<std::unique_ptr<Tracker>(const vit::ConfigNode& options)>;
vit::Registry<TrackerFactory>& tracker_registry();

/// Of a name, or a map with `type` and options. Errors (usage): as the registry and the factory.
std::unique_ptr<Tracker> make_tracker(const vit::ConfigNode& node);
/// As the command line names it: a YAML file, or a configuration of configs/tracker by name. Errors (usage): neither,
/// naming those that there are; as above.
std::unique_ptr<Tracker> make_tracker(const std::string& name_or_file);

/// Refuses what no tracker can follow. Errors: see Tracker::update.
void require_trackable(const std::vector<Detection>& detections, double time_s);

/// Which row is which column: pairs (row, column) of least total cost, of which none costs `limit` or more; rows and
/// columns that are left over are in no pair. `cost` [rows, columns] row-major, finite.
std::vector<std::pair<size_t, size_t>> associate(std::vector<double> cost, size_t rows, size_t columns, double limit);

}  // namespace detection

#define VITKIT_TRACKER_CONCAT_INNER(a, b) a##b
#define VITKIT_TRACKER_CONCAT(a, b) VITKIT_TRACKER_CONCAT_INNER(a, b)
/// At the end of a tracker's file: all the wiring it needs.
#define VITKIT_REGISTER_TRACKER(name, ...)                                                         \
  [[maybe_unused]] static const bool VITKIT_TRACKER_CONCAT(vitkit_tracker_registered_, __LINE__) = \
      ::detection::tracker_registry().add(name, __VA_ARGS__)
