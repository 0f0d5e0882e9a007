// The numbers of a report as the JSON that its page reads. docs/explain_report.md has the format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vit/explain/html_report.h"
#include "vit/explain/report_plan.h"

namespace vit::detail {

/// RFC 4648, section 4.
std::string base64(std::string_view bytes);

/// Attention in a byte each: round(255 p / scale) with the largest of each row as its scale.
struct QuantisedAttention {
  std::string shares{};         ///< [heads, queries, keys]
  std::vector<float> scales{};  ///< [heads, queries]
};

/// All heads, or their mean as one.
QuantisedAttention quantised(const ReportLayer& layer, LayerPart part);

/// Errors: as html_report's, which name the picture (or its number) and the layer or map.
void check_picture(const ReportPicture& picture, size_t number);

/// The JSON text, without "<": it may stand in an HTML script element. Without numbers: the layers' attention is empty,
/// which tells how much the rest takes.
std::string report_json(const Report& report, const ReportPlan& plan, const ReportOptions& options,
                        bool with_numbers = true);

}  // namespace vit::detail
