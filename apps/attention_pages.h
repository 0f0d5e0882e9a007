// All of a model's attention to one picture, for sheets and reports.
#pragma once

#include <string>
#include <vector>

#include "apps/explained.h"
#include "vit/explain/attention_sheet.h"
#include "vit/explain/html_report.h"
#include "vit/explain/recorder.h"

namespace apps {

/// Every attention between places, or of queries to places, of one pass. Layers whose heads have more than
/// `most_elements` weights are their mean, and are left out where that is too large as well.
std::vector<vit::RecordedAttention> record_attention(const vit::Subject& subject, const vit::Tensor& pixels,
                                                     int64_t most_elements = int64_t{1} << 24);

/// What the subject reads of each layer, head by head. `source`: the picture's extent.
std::vector<vit::SheetLayer> sheet_layers(const vit::Subject& subject,
                                          const std::vector<vit::RecordedAttention>& layers,
                                          const vit::Preprocessor& preprocessor, const vit::Extent& source);

/// The layers for a page; `query_names`: of a decoder's queries, the rest are numbered.
std::vector<vit::ReportLayer> report_layers(const vit::Subject& subject,
                                            const std::vector<vit::RecordedAttention>& layers,
                                            const std::vector<std::string>& query_names,
                                            const vit::Preprocessor& preprocessor, const vit::Extent& source);

/// The points that a decoder's deformable attention chose (Deformable DETR, RT-DETR), as attention of its queries to
/// the cells of a grid: a page per layer whose queries are the named ones. Runs the model once where it has such
/// layers.
std::vector<vit::ReportLayer> point_layers(const vit::Subject& subject, const vit::Tensor& pixels,
                                           const std::vector<std::string>& query_names,
                                           const vit::Preprocessor& preprocessor, const vit::Extent& source);

}  // namespace apps
