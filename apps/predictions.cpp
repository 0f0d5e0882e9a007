#include "apps/predictions.h"

#include <fmt/format.h>

#include "apps/output.h"

namespace apps {

namespace {

/// Every row of the CSV has these columns.
Record row(const std::string& source, const Record& rank, const Record& index, const Record& label, const Record& score,
           const Record& error) {
  return {{"source", source}, {"rank", rank}, {"index", index}, {"label", label}, {"score", score}, {"error", error}};
}

}  // namespace

void write_error(Output& output, const std::string& source, const std::string& error) {
  if (output.format() == Format::csv)
    output.write(row(source, nullptr, nullptr, nullptr, nullptr, error), "");
  else if (output.format() == Format::json)
    output.write({{"source", source}, {"error", error}}, "");
  else
    print_error(fmt::format("{}: {}", source, error));
}

void write_predictions(Output& output, const std::string& source, const std::vector<vit::Prediction>& predictions) {
  Record list = Record::array();
  std::string text = source + "\n";
  int rank = 0;
  for (const vit::Prediction& prediction : predictions) {
    ++rank;
    if (output.format() == Format::csv)
      output.write(row(source, rank, prediction.index, prediction.label, prediction.score, nullptr), "");
    list.push_back({{"label", prediction.label}, {"index", prediction.index}, {"score", prediction.score}});
    text += fmt::format("  {:6.2f} %  {} ({})\n", 100.0 * prediction.score, prediction.label, prediction.index);
  }
  if (output.format() != Format::csv) output.write({{"source", source}, {"predictions", list}}, text);
}

}  // namespace apps
