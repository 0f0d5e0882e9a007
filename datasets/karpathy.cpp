// Karpathy's JSON of splits as a format of data sets: dataset_coco.json, dataset_flickr8k.json, dataset_flickr30k.json,
// beside their pictures. `train` includes `restval`, as everybody trains who reports figures on these splits; `restval`
// by name is that part alone.
#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "datasets/caption_json.h"
#include "datasets/caption_list.h"
#include "datasets/format.h"
#include "datasets/picture_finder.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

constexpr const char* kRest = "restval";
/// JSON files of a folder that are looked into.
constexpr size_t kMaxCandidates = 100;

/// The file of a folder; empty where there is none, or several.
fs::path file_in(const fs::path& dir) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entries(dir, error);
  for (size_t looked = 0; !error && entries != fs::directory_iterator() && looked < kMaxCandidates;
       entries.increment(error)) {
    if (lower_case(entries->path().extension().string()) != ".json") continue;
    ++looked;
    if (looks_like_karpathy(entries->path().string())) found.push_back(entries->path());
  }
  return found.size() == 1 ? found.front() : fs::path();
}

fs::path file_of(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? file_in(path) : fs::path(path);
}

std::vector<std::string> splits_of(const std::vector<KarpathyPicture>& pictures) {
  std::set<std::string> there;
  for (const KarpathyPicture& picture : pictures) there.insert(picture.split);
  std::vector<std::string> names;
  for (const std::string& name : known_splits())
    if (there.erase(name) > 0) names.push_back(name);
  there.erase("");
  names.insert(names.end(), there.begin(), there.end());
  return names;
}

bool belongs_to(const KarpathyPicture& picture, const std::string& split) {
  return split.empty() || picture.split == split || (split == "train" && picture.split == kRest);
}

CaptionList read_list(const std::string& path, const std::vector<KarpathyPicture>& pictures, const std::string& split) {
  CaptionList list;
  PictureFinder finder(path, {}, "dataset_");
  int64_t wanted = 0;
  std::set<int64_t> ids;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const KarpathyPicture& picture = pictures[i];
    if (!belongs_to(picture, split)) continue;
    ++wanted;
    const std::string place = vit::str(path, ": images[", i, "]");
    if (picture.file_name.empty()) {
      list.bad.push_back({place, "no filename"});
      continue;
    }
    CaptionedPicture captioned{.path = finder.find((fs::path(picture.folder) / picture.file_name).string()),
                               .id = picture.id.value_or(static_cast<int64_t>(i))};
    if (!ids.insert(captioned.id).second)
      vit::fail_usage(place, ": its id, ", captioned.id, ", is another picture's too");
    for (size_t s = 0; s < picture.sentences.size(); ++s) {
      const std::string where = vit::str(place, ".sentences[", s, "]");
      if (picture.sentences[s])
        add_caption(list, captioned, *picture.sentences[s], where);
      else
        list.bad.push_back({vit::str(captioned.path, " (", where, ")"), "no text under `raw`"});
    }
    if (finder.last_was_found())
      list.pictures.push_back(std::move(captioned));
    else
      list.bad.push_back(no_such_picture(captioned, path));
  }
  if (wanted > 0 && finder.missing() == wanted)
    vit::fail_usage(path, ": none of its ", wanted, " pictures is there, beginning with ", list.bad.front().source,
                    "; looked in ", vit::joined(finder.folders(), 8));
  leave_out_uncaptioned(list);
  return list;
}

OpenedDataset open_format(const DatasetRequest& request) {
  const std::string path = file_of(request.path).string();
  if (path.empty())
    vit::fail_usage("data ", request.path, ": expected one file of Karpathy's splits in it (dataset_*.json)");
  const std::vector<KarpathyPicture> pictures = read_karpathy(path);
  OpenedDataset opened{.root = path, .split = choose_split(splits_of(pictures), request.split, path)};
  opened.data = make_captioned_dataset(read_list(path, pictures, opened.split), request.decode, path);
  return opened;
}

bool recognises(const std::string& path) {
  const fs::path file = file_of(path);
  return lower_case(file.extension().string()) == ".json" && looks_like_karpathy(file.string());
}

std::vector<std::string> find_splits(const std::string& path) {
  const fs::path file = file_of(path);
  if (file.empty()) return {};
  std::vector<std::string> splits = splits_of(read_karpathy(file.string()));
  // What is part of train is no split beside it.
  if (std::find(splits.begin(), splits.end(), "train") != splits.end()) std::erase(splits, kRest);
  return splits;
}

}  // namespace

VITKIT_REGISTER_DATASET("karpathy", DatasetFormat{.summary = "Karpathy's JSON of captions and splits "
                                                             "(dataset_flickr8k.json), beside the pictures",
                                                  .order = 24,
                                                  .has_captions = true,
                                                  .recognises = recognises,
                                                  .splits = find_splits,
                                                  .open = open_format});

}  // namespace datasets
