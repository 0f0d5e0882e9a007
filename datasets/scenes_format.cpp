// Generated scenes as a data set format.
#include <memory>

#include "datasets/format.h"
#include "datasets/scenes.h"

namespace datasets {

namespace {

OpenedDataset open_scenes_format(const DatasetRequest& request) {
  OpenedDataset opened;
  opened.data = open_scenes("scenes:" + request.path);
  opened.root = "scenes:" + request.path;
  return opened;
}

}  // namespace

VITKIT_REGISTER_DATASET("scenes", DatasetFormat{.summary = "generated scenes, ten classes: scenes:SEED:COUNT[:SIDE]",
                                                .open = open_scenes_format});

}  // namespace datasets
