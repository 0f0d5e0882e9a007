// Manifests: a table (CSV, TSV) of pictures with their labels and, if wanted, splits. Columns are found by the header
// (path, label, split and their usual synonyms), or are these three in this order where there is none. Paths are
// relative to the manifest's folder. A folder may hold a manifest per split (train.csv, val.csv, test.csv) or one for
// all (labels.csv, manifest.csv).
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "datasets/csv.h"
#include "datasets/data_file.h"
#include "datasets/format.h"
#include "datasets/label_table.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/names.h"
#include "vit/media/source.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxManifestBytes = int64_t{1} << 30;

using Names = std::vector<std::string>;

const Names& path_headers() {
  static const Names names = {"path", "image", "image_path", "filepath", "file", "filename", "file_name", "img"};
  return names;
}
const Names& label_headers() {
  static const Names names = {"label", "class", "target", "category", "class_name", "labels", "wnid", "y"};
  return names;
}
const Names& split_headers() {
  static const Names names = {"split", "subset", "set", "fold"};
  return names;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_table(const fs::path& path) {
  const std::string ending = lower(path.extension().string());
  std::error_code error;
  return (ending == ".csv" || ending == ".tsv") && fs::is_regular_file(path, error);
}

/// Tables in a folder whose name (without ending) is one of `names`, in the order of `names`.
std::vector<fs::path> tables_named(const fs::path& dir, const Names& names) {
  std::vector<fs::path> found;
  for (const std::string& name : names)
    for (const char* ending : {".csv", ".tsv"})
      if (const fs::path path = dir / (name + ending); is_table(path)) found.push_back(path);
  return found;
}

/// The one table of a folder that has no table per split; empty when there is none.
fs::path single_table(const fs::path& dir) {
  const std::vector<fs::path> found = tables_named(dir, {"manifest", "labels"});
  return found.empty() ? fs::path() : found.front();
}

/// Folders with a split's name hold pictures in folders, and a table beside them is something else.
bool has_split_folder(const fs::path& dir) {
  std::error_code error;
  return std::any_of(known_splits().begin(), known_splits().end(),
                     [&](const std::string& name) { return fs::is_directory(dir / name, error); });
}

/// Which column is what; -1 where there is none.
struct Columns {
  int path = 0, label = 1, split = -1;
  bool has_header = false;
};

/// The column with the first of the names that is there. -1: none.
int column_of(const Names& header, const Names& names) {
  for (const std::string& name : names)
    for (size_t i = 0; i < header.size(); ++i)
      if (header[i] == name) return static_cast<int>(i);
  return -1;
}

/// Errors (usage): it is neither a header that is understood nor a row path,label[,split].
Columns find_columns(const Names& first_row, const std::string& place) {
  Names header;
  for (const std::string& field : first_row) header.push_back(lower(field));
  const Columns named{.path = column_of(header, path_headers()),
                      .label = column_of(header, label_headers()),
                      .split = column_of(header, split_headers()),
                      .has_header = true};
  if (named.path >= 0 && named.label >= 0) return named;
  if (!vit::has_image_extension(first_row.front()))
    vit::fail_usage(place, ": expected a header with a column path and a column label (or one of ",
                    vit::joined(label_headers()), "), or rows of path, label and, if wanted, split; got ",
                    vit::joined(first_row, 5));
  if (first_row.size() < 2 || first_row.size() > 3)
    vit::fail_usage(place, ": a row of ", first_row.size(),
                    " fields, expected path, label and, if wanted, split; name "
                    "the columns in a header where there are more");
  return {.path = 0, .label = 1, .split = first_row.size() == 3 ? 2 : -1, .has_header = false};
}

/// What a manifest says, of all splits.
struct Manifest {
  Names paths, splits;  ///< splits: empty when there is no such column
  LabelTable labels;
};

void add_table(const fs::path& table, Manifest& manifest, LabelTableBuilder& labels) {
  const std::string text = vit::read_file(table, kMaxManifestBytes);
  CsvReader reader(text, table.extension() == ".tsv" ? '\t' : guess_delimiter(text), table.string());
  Names fields;
  std::optional<Columns> columns;
  size_t width = 0;
  while (reader.next(fields)) {
    if (!columns) {
      columns = find_columns(fields, reader.place());
      width = fields.size();
      if (columns->has_header) continue;
    }
    if (fields.size() != width)
      vit::fail_usage(reader.place(), ": ", fields.size(), " fields, the first row has ", width);
    const std::string& path = fields[static_cast<size_t>(columns->path)];
    if (path.empty()) vit::fail_usage(reader.place(), ": the path is empty");
    const fs::path full = fs::path(path).is_absolute() ? fs::path(path) : table.parent_path() / path;
    manifest.paths.push_back(full.string());
    labels.add(fields[static_cast<size_t>(columns->label)], reader.place());
    if (columns->split >= 0) manifest.splits.push_back(fields[static_cast<size_t>(columns->split)]);
  }
  if (!manifest.splits.empty() && manifest.splits.size() != manifest.paths.size())
    vit::fail_usage(table.string(), ": there is a column of splits here, but not in the other tables");
  if (manifest.paths.empty()) vit::fail_usage(table.string(), ": there is no row in it");
}

/// Split names in the order of known_splits, others behind them by their bytes.
Names ordered_splits(const Names& all) {
  Names distinct = all, ordered;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (const std::string& known : known_splits())
    if (std::binary_search(distinct.begin(), distinct.end(), known)) ordered.push_back(known);
  for (const std::string& name : distinct)
    if (std::find(ordered.begin(), ordered.end(), name) == ordered.end()) ordered.push_back(name);
  return ordered;
}

/// Reads a table, or all tables of a folder: labels are numbered over all splits, so that they mean the same in each.
Manifest read_manifest(const std::string& path) {
  std::error_code error;
  Manifest manifest;
  LabelTableBuilder labels;
  if (!fs::is_directory(path, error)) {
    add_table(path, manifest, labels);
  } else if (const std::vector<fs::path> tables = tables_named(path, known_splits()); !tables.empty()) {
    for (const fs::path& table : tables) {
      Manifest part;
      add_table(table, part, labels);
      manifest.paths.insert(manifest.paths.end(), part.paths.begin(), part.paths.end());
      manifest.splits.insert(manifest.splits.end(), part.paths.size(), table.stem().string());
    }
  } else if (const fs::path table = single_table(path); !table.empty()) {
    add_table(table, manifest, labels);
  } else {
    vit::fail_usage("data ", path, ": there is no train.csv, val.csv, test.csv, labels.csv or manifest.csv in it");
  }
  manifest.labels = labels.finish();
  return manifest;
}

class ManifestDataset : public Dataset {
 public:
  /// The rows of one split; all where `split` is empty.
  ManifestDataset(Manifest manifest, const std::string& split, const vit::DecodeOptions& decode)
      : names_(std::move(manifest.labels.names)), decode_(decode) {
    for (size_t i = 0; i < manifest.paths.size(); ++i) {
      if (!split.empty() && manifest.splits[i] != split) continue;
      paths_.push_back(std::move(manifest.paths[i]));
      labels_.push_back(manifest.labels.labels[i]);
    }
  }

  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  const std::vector<std::string>& class_names() const override { return names_; }
  int64_t label(int64_t index) const override { return labels_.at(static_cast<size_t>(index)); }
  std::string source(int64_t index) const override { return paths_.at(static_cast<size_t>(index)); }
  vit::Image load(int64_t index) const override { return vit::load_image(source(index), decode_); }
  std::string encoded(int64_t index) const override { return read_picture_file(source(index)); }

 private:
  Names names_, paths_;
  std::vector<int64_t> labels_;
  vit::DecodeOptions decode_;
};

OpenedDataset open_manifest(const DatasetRequest& request) {
  Manifest manifest = read_manifest(request.path);
  const std::string split = choose_split(ordered_splits(manifest.splits), request.split, request.path);
  OpenedDataset opened{.root = request.path, .split = split};
  opened.data = std::make_shared<ManifestDataset>(std::move(manifest), split, request.decode);
  return opened;
}

bool recognises_manifest(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return is_table(path);
  return !has_split_folder(path) && (!tables_named(path, known_splits()).empty() || !single_table(path).empty());
}

}  // namespace

VITKIT_REGISTER_DATASET("manifest", DatasetFormat{.summary = "a CSV or TSV table of path, label and, if wanted, split",
                                                  .aliases = {"csv", "tsv"},
                                                  .order = 40,
                                                  .recognises = recognises_manifest,
                                                  .splits =
                                                      [](const std::string& path) {
                                                        return ordered_splits(read_manifest(path).splits);
                                                      },
                                                  .open = open_manifest});

}  // namespace datasets
