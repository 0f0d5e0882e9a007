#include "vit/media/video_module.h"

#include "vit/core/plugin.h"

namespace vit::detail {

const VitkitVideoTable& video_module() {
  return plugin_table<VitkitVideoTable>({.what = "video",
                                         .file = "libvitkit_video.so",
                                         .variable = "VITKIT_VIDEO",
                                         .version_name = kVitkitVideoVersionName,
                                         .table_name = kVitkitVideoTableName,
                                         .version = kVitkitVideoVersion});
}

const VitkitDevicesTable& devices_module() {
  return plugin_table<VitkitDevicesTable>({.what = "cameras and windows",
                                           .file = "libvitkit_devices.so",
                                           .variable = "VITKIT_DEVICES",
                                           .version_name = kVitkitDevicesVersionName,
                                           .table_name = kVitkitDevicesTableName,
                                           .version = kVitkitVideoVersion});
}

}  // namespace vit::detail
