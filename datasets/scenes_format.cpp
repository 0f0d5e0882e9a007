// Generated scenes as a format of data sets: "scenes:SEED:COUNT[:SIZE]". They have no splits: another seed is other
// pictures.
#include <memory>

#include "datasets/format.h"
#include "datasets/scenes.h"

namespace datasets {

namespace {

OpenedDataset open_format(const DatasetRequest& request) {
  const std::string spec = "scenes:" + request.path;
  OpenedDataset opened{.root = spec};
  opened.data = open_scenes(spec);
  return opened;
}

}  // namespace

VITKIT_REGISTER_DATASET("scenes",
                        DatasetFormat{.summary = "generated scenes: scenes:SEED:COUNT[:SIZE]", .open = open_format});

}  // namespace datasets
