// Captions as lines: JSON, CSV, text for people.
#pragma once

#include "apps/caption_batch.h"
#include "apps/output.h"

namespace apps {

/// {"source","frame","time_s","caption","ids","score","alternatives":[{"caption","ids","score"}]}: frame and time_s of
/// videos only, alternatives where several captions were asked for; or {"source",...,"error"}.
Record caption_record(const CaptionedItem& one);
/// Writes an item in the chosen format. Errors of text go to stderr.
void write_caption(Output& output, const CaptionedItem& one);

}  // namespace apps
