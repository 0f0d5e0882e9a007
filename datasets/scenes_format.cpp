// Generated scenes and clips as formats of data sets: "scenes:SEED:COUNT[:SIZE]", "clips:SEED:COUNT:FRAMES[:SIZE]".
// They have no splits: another seed is other pictures.
#include <memory>

#include "datasets/clips.h"
#include "datasets/format.h"
#include "datasets/scenes.h"

namespace datasets {

namespace {

OpenedDataset open_scenes_format(const DatasetRequest& request) {
  const std::string spec = "scenes:" + request.path;
  OpenedDataset opened{.root = spec};
  opened.data = open_scenes(spec);
  return opened;
}

OpenedDataset open_clips_format(const DatasetRequest& request) {
  const std::string spec = "clips:" + request.path;
  OpenedDataset opened{.root = spec};
  opened.data = open_clips(spec);
  return opened;
}

}  // namespace

VITKIT_REGISTER_DATASET("scenes",
                        DatasetFormat{.summary = "generated scenes: scenes:SEED:COUNT[:SIZE]; boxes and captions too",
                                      .has_captions = true,
                                      .open = open_scenes_format});
VITKIT_REGISTER_DATASET("clips", DatasetFormat{.summary = "generated clips, frame by frame, boxes and tracks: "
                                                          "clips:SEED:COUNT:FRAMES[:SIZE]",
                                               .open = open_clips_format});

}  // namespace datasets
