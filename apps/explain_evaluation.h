// What `vitkit explain --data` says: methods of explanation side by side, as records and as a table; and where the
// object of a picture is that a map should point at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/output.h"
#include "vit/explain/evaluation.h"
#include "vit/image/preprocess.h"

namespace datasets {
class Dataset;
}

namespace apps {

/// The box of the object that picture `index` is about, in pixels of the picture: the largest of the picture's class,
/// crowds aside (of generated scenes: the main object). None: the data set has no boxes, or none of that class.
std::optional<vit::Corners> main_object(const datasets::Dataset& data, int64_t index);

/// The same box in pixels of the model's input, [height, width] `input`, after pre-processing of a picture of `source`.
/// None: nothing of it is left there.
std::optional<vit::Corners> box_on_input(const vit::Preprocessor& preprocessor, const vit::Extent& source,
                                         const vit::Extent& input, const vit::Corners& box);

/// {"method", "title", "baseline", "pictures", then of each figure "x", "x_low", "x_high": "deletion_auc",
/// "insertion_auc", "road", "sanity_spearman", "sanity_ssim", "sanity_failed", "mass_in_object", "pointing",
/// "object_area", "milliseconds"}; null where a figure is not known.
Record method_record(const vit::MethodFigures& figures);

/// The rows as people read them: means with half of their interval's width; in percent where they are shares.
/// `confidence`: of the intervals, for the line below the table.
std::string method_table(const std::vector<vit::MethodFigures>& rows, double confidence);

/// A record per method, or the table. Errors: as Output::write.
void write_methods(Output& output, const std::vector<vit::MethodFigures>& rows, double confidence);

}  // namespace apps
