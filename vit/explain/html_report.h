// One HTML file in which people move through layers, heads and queries by pointing at the picture, beside the maps of
// all methods and how far to believe them. It needs no network and no other file. docs/explain_report.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/image/cell_map.h"
#include "vit/image/image.h"

namespace vit {

/// The tokens of one side of an attention, in their order: named ones, the cells of a grid row by row, named ones.
struct ReportTokens {
  std::vector<std::string> before{};  ///< "class token", "register 1"; a decoder's queries: "person 0.93", "dog"
  int64_t rows = 0, columns = 0;      ///< 0: no grid
  CellWindow window{};                ///< of the picture on the grid; without extent: the picture covers all of it
  std::vector<std::string> after{};   ///< YOLOS' detection tokens

  int64_t count() const {
    return static_cast<int64_t>(before.size()) + rows * columns + static_cast<int64_t>(after.size());
  }
};

/// The attention of one layer.
struct ReportLayer {
  std::string name{};  ///< "blocks.11.attn"
  ReportTokens queries{}, keys{};
  Tensor probs{};                ///< f32 [heads, queries, keys], none below 0
  int64_t mean_of = 1;           ///< the number of heads that `probs` [1, queries, keys] is the mean of
  std::vector<int64_t> heads{};  ///< their numbers where not all are there; empty: from 0
  std::string note{};            ///< what to know: "outside of a query's window attention is 0"
};

enum class FigureGoal { none, low, high };

/// A figure of faithfulness: a column of the page's table.
struct ReportFigure {
  std::string name{};                  ///< "deletion AUC"
  std::optional<double> value{};       ///< none: `text` alone
  std::string text{};                  ///< in place of the number: "changes with the weights"
  FigureGoal goal = FigureGoal::none;  ///< the best of a picture's maps is marked
  std::string hint{};                  ///< what it means, in a sentence: listed below the table
};

/// The map of one method.
struct ReportMap {
  std::string name{};     ///< "Grad-CAM"
  std::string subject{};  ///< what it explains: "tabby cat, 0.93"
  Tensor map{};           ///< f32 [rows, columns]
  CellWindow window{};    ///< of the picture on the map; without extent: the picture covers all of it
  bool is_signed = false;
  std::vector<ReportFigure> figures{};
  std::string note{};
};

struct ReportPicture {
  std::string name{};  ///< "cats/12.jpg": the tab's name
  Image picture{};
  std::vector<std::string> lines{};  ///< below the picture's name: "tabby cat 0.93, tiger cat 0.04"
  std::vector<ReportLayer> layers{};
  std::vector<ReportMap> maps{};
};

struct Report {
  std::string title{};               ///< "vitkit explain"
  std::vector<std::string> lines{};  ///< below it: model, options
  std::vector<ReportPicture> pictures{};
  int64_t left_out = 0;  ///< pictures that are not in it, as the page says
};

struct ReportOptions {
  /// Of the file. What is larger is made smaller, and the page says so: heads become their mean, largest layers first,
  /// of equal ones the earliest; then layers are left out in the same order. Where pictures and maps alone are too
  /// large, the last pictures are left out.
  int64_t max_bytes = 25'000'000;
  int64_t picture_side = 768;  ///< larger pictures are embedded scaled down to this longer side
};

/// Adds a picture while a folder is worked through, so that nothing is held that will not be in the file: where all
/// attention is above the limit, heads become their mean at once, as ReportOptions::max_bytes has it; a picture for
/// which that is not enough is left out and counted. The first is always taken. Says whether it was.
bool add_to_report(Report& report, ReportPicture picture, const ReportOptions& options = {});

/// The page. The same report makes the same bytes. Errors: no picture; an undefined one; probabilities or maps of
/// another dtype or shape than their tokens, or that are not finite, naming picture and layer; (usage) pictures and
/// maps alone are larger than max_bytes.
std::string html_report(const Report& report, const ReportOptions& options = {});

/// Writes it, whole or not at all. Errors: as html_report and AtomicFile.
void write_html_report(const std::filesystem::path& path, const Report& report, const ReportOptions& options = {});

}  // namespace vit
