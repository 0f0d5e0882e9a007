#include "detection/track.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "detection/matcher.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/io/home.h"

namespace detection {

vit::Registry<TrackerFactory>& tracker_registry() {
  static vit::Registry<TrackerFactory> registry("tracker");
  return registry;
}

std::unique_ptr<Tracker> make_tracker(const vit::ConfigNode& node) {
  const vit::TypedConfig config = vit::split_type(node);
  if (!tracker_registry().contains(config.type)) node.refuse(tracker_registry().unknown(config.type));
  return tracker_registry().find(config.type)(config.options);
}

std::unique_ptr<Tracker> make_tracker(const std::string& name_or_file) {
  const std::string ending = std::filesystem::path(name_or_file).extension().string();
  if (ending == ".yaml" || ending == ".yml") return make_tracker(vit::ConfigNode::load(name_or_file));
  const std::vector<std::string> names = vit::config_names("tracker");
  if (std::find(names.begin(), names.end(), name_or_file) == names.end()) {
    // Without the configurations' folder the registered ones are there all the same, with their defaults.
    if (tracker_registry().contains(name_or_file))
      return make_tracker(vit::ConfigNode::make_scalar(name_or_file, true));
    const std::vector<std::string> known = names.empty() ? tracker_registry().names() : names;
    vit::fail_usage("unknown tracker '", name_or_file, "'", vit::did_you_mean(name_or_file, known),
                    "; known: ", vit::joined(known), ", or a file that ends in .yaml");
  }
  return make_tracker(vit::ConfigNode::load(vit::find_in_home("configs/tracker/" + name_or_file + ".yaml")));
}

void require_trackable(const std::vector<Detection>& detections, double time_s) {
  vit::check(std::isfinite(time_s), "tracker: the time of a frame is ", time_s, ", expected a finite number");
  for (const Detection& found : detections) {
    const auto& box = found.box;
    vit::check(std::isfinite(found.score) &&
                   std::all_of(box.begin(), box.end(), [](double edge) { return std::isfinite(edge); }),
               "tracker: a detection has the score ", found.score, " and the box [", box[0], ", ", box[1], ", ", box[2],
               ", ", box[3], "], expected finite numbers");
  }
}

std::vector<std::pair<size_t, size_t>> associate(std::vector<double> cost, size_t rows, size_t columns, double limit) {
  std::vector<std::pair<size_t, size_t>> pairs;
  if (rows == 0 || columns == 0) return pairs;
  // What costs the limit or more is as good as no pair. Equal costs among all these make the assignment of least cost
  // the one of least cost among those that may leave rows and columns over.
  for (double& value : cost) value = std::min(value, limit);
  for (const auto& [row, column] : assign(cost, static_cast<int64_t>(rows), static_cast<int64_t>(columns))) {
    const auto r = static_cast<size_t>(row), c = static_cast<size_t>(column);
    if (cost[r * columns + c] < limit) pairs.emplace_back(r, c);
  }
  return pairs;
}

}  // namespace detection
