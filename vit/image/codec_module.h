// Loads the module vitkit_codecs once, on first use, from beside the library.
#pragma once

#include "vit/image/codecs/codecs.h"

namespace vit::detail {

/// The module's functions. The environment variable VITKIT_CODECS names another file. Errors: the module is not found
/// or does not load; the message has the places that were tried. Thread-safe; failure is remembered.
const VitkitCodecs& codecs();

}  // namespace vit::detail
