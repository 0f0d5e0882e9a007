#include "vit/image/codec_module.h"

#include "vit/core/plugin.h"

namespace vit::detail {

const VitkitCodecs& codecs() {
  return plugin_table<VitkitCodecs>({.what = "image codecs",
                                     .file = "libvitkit_codecs.so",
                                     .variable = "VITKIT_CODECS",
                                     .version_name = kVitkitCodecsVersionName,
                                     .table_name = kVitkitCodecsTableName,
                                     .version = kVitkitCodecsVersion});
}

}  // namespace vit::detail
