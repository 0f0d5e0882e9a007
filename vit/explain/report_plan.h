// What of a report's attention fits into the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/explain/html_report.h"

namespace vit::detail {

enum class LayerPart { heads, mean, none };

/// What is kept of each layer, and what to say about it.
struct ReportPlan {
  std::vector<std::vector<LayerPart>> layers{};   ///< of each picture
  std::vector<std::vector<std::string>> notes{};  ///< of each picture: "6 of 12 layers are not in this file: ..."
};

/// Bytes of base64 text for so many bytes.
int64_t base64_size(int64_t bytes);

/// Bytes that the attention of a layer takes in the file.
int64_t layer_size(const ReportLayer& layer, LayerPart part);

/// Chooses what to keep within `budget` bytes: heads become their mean, largest layers first, of equal ones the
/// earliest; then layers go in the same order.
ReportPlan plan_report(const Report& report, int64_t budget);

}  // namespace vit::detail
