// Tables of file and caption as a format of data sets: a file (captions.tsv, Flickr8k.token.txt, captions.csv), or a
// folder with one per split (captions_train.tsv, captions_val.tsv) or one for all. Pictures lie beside the table or in
// a folder there (images/, images128/, Flicker8k_Dataset/). Those that no table of the data set names are reported.
#include <algorithm>
#include <filesystem>
#include <set>
#include <unordered_map>
#include <utility>

#include "datasets/caption_list.h"
#include "datasets/caption_table.h"
#include "datasets/format.h"
#include "datasets/picture_finder.h"
#include "datasets/split_files.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/names.h"
#include "vit/media/source.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxTableBytes = int64_t{1} << 30;
/// Tables of a folder that are looked into.
constexpr size_t kMaxCandidates = 100;

std::vector<SplitFile> tables_in(const fs::path& dir) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entries(dir, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string ending = lower_case(entries->path().extension().string());
    if (ending == ".tsv" || ending == ".csv" || ending == ".txt") found.push_back(entries->path());
  }
  std::sort(found.begin(), found.end());
  if (found.size() > kMaxCandidates) found.resize(kMaxCandidates);
  std::vector<SplitFile> tables;
  for (const fs::path& path : found)
    if (looks_like_caption_table(path.string())) tables.push_back({split_in(path.stem().string()), path});
  return in_order_of_splits(tables);
}

std::vector<CaptionRow> read_table(const fs::path& path) {
  std::vector<CaptionRow> rows = parse_caption_table(vit::read_file(path, kMaxTableBytes), path.string());
  if (rows.empty()) vit::fail_usage(path.string(), ": there is no row of a file and a caption in it");
  return rows;
}

/// The pictures that rows name, by the order of their first, with their captions.
CaptionList list_of(const std::vector<CaptionRow>& rows, const std::string& path, PictureFinder& finder) {
  CaptionList list;
  std::vector<CaptionedPicture> missing;
  std::unordered_map<std::string, std::pair<bool, size_t>> known;  // file -> is it there, where is it in its list
  for (const CaptionRow& row : rows) {
    const auto [entry, is_new] = known.try_emplace(row.file);
    auto& [is_there, position] = entry->second;
    if (is_new) {
      CaptionedPicture picture{.path = finder.find(row.file)};
      is_there = finder.last_was_found();
      std::vector<CaptionedPicture>& into = is_there ? list.pictures : missing;
      position = into.size();
      picture.id = static_cast<int64_t>(position);
      into.push_back(std::move(picture));
    }
    CaptionedPicture& picture = (is_there ? list.pictures : missing)[position];
    add_caption(list, picture, row.caption, vit::str(path, ":", row.line));
  }
  for (const CaptionedPicture& picture : missing) list.bad.push_back(no_such_picture(picture, path));
  if (list.pictures.empty())
    vit::fail_usage(path, ": none of its ", missing.size(), " pictures is there, beginning with ", rows.front().file,
                    "; looked in ", vit::joined(finder.folders(), 8));
  return list;
}

/// Pictures of the folder that no table names.
void add_unnamed(const fs::path& folder, const std::set<std::string>& named, CaptionList& list) {
  std::vector<std::string> unnamed;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (vit::has_image_extension(name) && !named.contains(name)) unnamed.push_back(entries->path().string());
  }
  std::sort(unnamed.begin(), unnamed.end());
  for (std::string& path : unnamed) list.bad.push_back({std::move(path), "no captions"});
}

std::set<std::string> files_named(const std::vector<CaptionRow>& rows) {
  std::set<std::string> names;
  for (const CaptionRow& row : rows) names.insert(fs::path(row.file).filename().string());
  return names;
}

/// `others`: tables of the other splits, which name pictures of the same folder.
CaptionList read_list(const SplitFile& table, const std::vector<SplitFile>& others) {
  const std::vector<CaptionRow> rows = read_table(table.path);
  PictureFinder finder(table.path, table.split, "captions_");
  CaptionList list = list_of(rows, table.path.string(), finder);
  leave_out_uncaptioned(list);
  std::set<std::string> named = files_named(rows);
  for (const SplitFile& other : others) {
    if (other.path == table.path) continue;
    try {
      named.merge(files_named(read_table(other.path)));
    } catch (const vit::Error& error) {  // a table of another split, whose pictures will seem to have no captions
      list.bad.push_back({other.path.string(), error.what()});
    }
  }
  add_unnamed(finder.last_folder(), named, list);
  return list;
}

OpenedDataset open_format(const DatasetRequest& request) {
  std::error_code error;
  const bool is_folder = fs::is_directory(request.path, error);
  const fs::path dir = is_folder ? fs::path(request.path) : fs::path(request.path).parent_path();
  const std::vector<SplitFile> tables = tables_in(dir.empty() ? fs::path(".") : dir);
  if (is_folder && tables.empty())
    vit::fail_usage("data ", request.path, ": there is no table of files and captions in it (captions_train.tsv)");
  const SplitFile table = is_folder ? choose_file(tables, request.split, request.path) : SplitFile{{}, request.path};
  OpenedDataset opened{.root = table.path.string(), .split = table.split};
  opened.data = make_captioned_dataset(read_list(table, tables), request.decode, opened.root);
  return opened;
}

bool recognises(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? !tables_in(path).empty() : looks_like_caption_table(path);
}

std::vector<std::string> find_splits(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? names_of_splits(tables_in(path), path) : std::vector<std::string>();
}

}  // namespace

VITKIT_REGISTER_DATASET("caption_table", DatasetFormat{.summary = "a TSV or CSV table of file and caption, a row per "
                                                                  "caption; or a folder with one per split",
                                                       .aliases = {"captions", "caption_tsv", "flickr8k"},
                                                       .order = 28,
                                                       .has_captions = true,
                                                       .recognises = recognises,
                                                       .splits = find_splits,
                                                       .open = open_format});

}  // namespace datasets
