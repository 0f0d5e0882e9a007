// COCO's JSON of captions as a format of data sets: a file, or a folder with one per split. Layouts: COCO's own
// (annotations/captions_train2017.json, train2017/), or files beside the pictures (captions_train.json).
#include <algorithm>
#include <filesystem>
#include <unordered_map>
#include <utility>

#include "datasets/caption_json.h"
#include "datasets/caption_list.h"
#include "datasets/format.h"
#include "datasets/picture_finder.h"
#include "datasets/split_files.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

/// JSON files of a folder that are looked into.
constexpr size_t kMaxCandidates = 100;

std::vector<SplitFile> split_files(const fs::path& root) {
  std::vector<SplitFile> all;
  for (const fs::path& dir : {root, root / "annotations"}) {
    std::vector<fs::path> found;
    std::error_code error;
    fs::directory_iterator entries(dir, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error))
      if (lower_case(entries->path().extension().string()) == ".json") found.push_back(entries->path());
    std::sort(found.begin(), found.end());
    if (found.size() > kMaxCandidates) found.resize(kMaxCandidates);
    for (const fs::path& path : found)
      if (looks_like_coco_captions(path.string())) all.push_back({split_in(path.stem().string()), path});
  }
  return in_order_of_splits(all);
}

class CocoCaptionReader {
 public:
  explicit CocoCaptionReader(std::string path) : path_(std::move(path)) {}

  CaptionList read(const CocoCaptionFile& file, const std::string& split) {
    read_pictures(file.pictures, split);
    for (size_t i = 0; i < file.captions.size(); ++i) read_caption(file.captions[i], i);
    drop_missing();
    leave_out_uncaptioned(list_);
    return std::move(list_);
  }

 private:
  void read_pictures(const std::vector<CocoCaptionPicture>& pictures, const std::string& split) {
    PictureFinder finder(path_, split, "captions_");
    for (size_t i = 0; i < pictures.size(); ++i) {
      const CocoCaptionPicture& picture = pictures[i];
      if (!picture.id) vit::fail_usage(path_, ": images[", i, "].id: expected a whole number, got none");
      if (picture.file_name.empty()) vit::fail_usage(path_, ": images[", i, "].file_name: expected a name, got none");
      const auto [known, is_new] = by_id_.emplace(*picture.id, list_.pictures.size());
      if (!is_new) {
        if (names_[known->second] != picture.file_name)
          vit::fail_usage(path_, ": the pictures ", names_[known->second], " and ", picture.file_name,
                          " have the same id, ", *picture.id, ", so that their captions cannot be told apart");
        continue;
      }
      names_.push_back(picture.file_name);
      list_.pictures.push_back({.path = finder.find(picture.file_name), .id = *picture.id});
      is_there_.push_back(finder.last_was_found());
    }
    if (list_.pictures.empty()) vit::fail_usage(path_, ": images: the list is empty");
    if (finder.missing() == static_cast<int64_t>(list_.pictures.size()))
      vit::fail_usage(path_, ": none of its ", finder.missing(), " pictures is there, beginning with ", names_.front(),
                      "; looked in ", vit::joined(finder.folders(), 8));
  }

  void read_caption(const CocoCaption& caption, size_t position) {
    const std::string place = vit::str(path_, ": annotation ", caption.id.value_or(static_cast<int64_t>(position)));
    const auto picture = caption.image ? by_id_.find(*caption.image) : by_id_.end();
    if (picture == by_id_.end()) {
      list_.bad.push_back({place, caption.image ? vit::str("there is no picture ", *caption.image) : "no image_id"});
      return;
    }
    CaptionedPicture& of = list_.pictures[picture->second];
    if (caption.text)
      add_caption(list_, of, *caption.text, place);
    else
      list_.bad.push_back({vit::str(of.path, " (", place, ")"), "no text under `caption`"});
  }

  void drop_missing() {
    std::vector<CaptionedPicture> there;
    for (size_t i = 0; i < list_.pictures.size(); ++i) {
      CaptionedPicture& picture = list_.pictures[i];
      if (is_there_[i])
        there.push_back(std::move(picture));
      else
        list_.bad.push_back(no_such_picture(picture, path_));
    }
    list_.pictures = std::move(there);
  }

  std::string path_;
  CaptionList list_;
  std::unordered_map<int64_t, size_t> by_id_;
  std::vector<std::string> names_;  // of the pictures, as the file has them
  std::vector<bool> is_there_;
};

OpenedDataset open_file(const std::string& path, const std::string& split, const DatasetRequest& request) {
  OpenedDataset opened{.root = path, .split = split};
  opened.data =
      make_captioned_dataset(CocoCaptionReader(path).read(read_coco_captions(path), split), request.decode, path);
  return opened;
}

OpenedDataset open_format(const DatasetRequest& request) {
  std::error_code error;
  if (!fs::is_directory(request.path, error)) return open_file(request.path, {}, request);
  const std::vector<SplitFile> files = split_files(request.path);
  if (files.empty())
    vit::fail_usage("data ", request.path, ": there is no COCO file of captions in it or in annotations/");
  const SplitFile& file = choose_file(files, request.split, request.path);
  return open_file(file.path.string(), file.split, request);
}

bool recognises(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return lower_case(fs::path(path).extension().string()) == ".json" && looks_like_coco_captions(path);
  return !split_files(path).empty();
}

std::vector<std::string> find_splits(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? names_of_splits(split_files(path), path) : std::vector<std::string>();
}

}  // namespace

// Behind COCO's instances: a folder that has both is one of boxes unless captions are asked for.
VITKIT_REGISTER_DATASET("coco_captions",
                        DatasetFormat{.summary = "COCO's JSON of captions: a file, or a folder with one per split",
                                      .order = 27,
                                      .has_captions = true,
                                      .recognises = recognises,
                                      .splits = find_splits,
                                      .open = open_format});

}  // namespace datasets
