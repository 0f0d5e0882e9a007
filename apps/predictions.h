// The answers of `vitkit classify` in every format.
#pragma once

#include <string>
#include <vector>

#include "vit/predictor.h"

namespace apps {

class Output;

/// JSON: {"source", "predictions": [{"label", "index", "score"}]}. CSV: a row per prediction. Text: the source, then a
/// line per prediction, in percent. Errors: as Output::write.
void write_predictions(Output& output, const std::string& source, const std::vector<vit::Prediction>& predictions);

/// JSON: {"source", "error"}. CSV: a row without prediction. Text: a line on stderr. Errors: as Output::write.
void write_error(Output& output, const std::string& source, const std::string& error);

}  // namespace apps
