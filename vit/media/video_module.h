// Loads the modules of video once, on first use, from beside the library.
#pragma once

#include "vit/media/video_tables.h"

namespace vit::detail {

/// FFmpeg's functions. The environment variable VITKIT_VIDEO names another file. Errors: the module is not found or
/// does not load; the message has the places that were tried. Thread-safe; failure is remembered.
const VitkitVideoTable& video_module();

/// Cameras and windows of OpenCV; VITKIT_DEVICES names another file. As video_module().
const VitkitDevicesTable& devices_module();

}  // namespace vit::detail
