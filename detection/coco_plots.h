// COCO's figures as pictures.
#pragma once

#include <string>
#include <vector>

#include "detection/coco_eval.h"
#include "vit/image/image.h"

namespace detection {

/// Precision by recall, mean over classes: at overlaps 0.50, 0.75 and 0.90, and over all ten. Without objects: axes
/// alone.
vit::Image plot_precision_recall(const CocoResult& result);

/// A bar per class that has objects: average precision in percent, best first, at most kMaxBars of them (the best and
/// the worst half). `names` in the order of result.categories().
vit::Image plot_class_precision(const CocoResult& result, const std::vector<std::string>& names);
inline constexpr size_t kMaxBars = 40;

}  // namespace detection
