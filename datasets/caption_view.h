// Views of data sets with captions: chosen pictures, several sets as one, and the captions of sets that have more.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "datasets/caption_dataset.h"

namespace datasets {

class BoxDataset;
using CaptionDatasetPtr = std::shared_ptr<const CaptionDataset>;

/// The pictures at `indices`, in that order. All bad captions of the set are its own. Errors: an index out of range.
CaptionDatasetPtr subset_of_captions(CaptionDatasetPtr data, std::vector<int64_t> indices);

/// Several sets one after another. Picture ids are kept where no two are equal; else they are positions.
CaptionDatasetPtr concatenate_captions(const std::vector<CaptionDatasetPtr>& parts);

/// A set whose pictures have boxes and sentences, by its sentences.
CaptionDatasetPtr captions_of_boxes(std::shared_ptr<const BoxDataset> data);

}  // namespace datasets
