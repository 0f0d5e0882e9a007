// COCO's JSON of instances as a format of data sets: a JSON file, or a folder with one per split. Layouts: COCO's own
// (annotations/instances_train2017.json, train2017/), a file per split beside the pictures (train.json, val.json),
// Roboflow's (train/_annotations.coco.json). Classes are the categories in the order of their ids, those that never
// occur too. Boxes become edges: x, y, x + width, y + height.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "datasets/box_list.h"
#include "datasets/caption_json.h"
#include "datasets/coco_file.h"
#include "datasets/format.h"
#include "datasets/picture_finder.h"
#include "datasets/split_files.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

/// Boxes may reach outside by this many pixels unreported: coordinates are rounded.
constexpr double kTolerance = 0.5;
/// JSON files of a folder that are looked into.
constexpr size_t kMaxCandidates = 100;

/// COCO's other files, which lie beside the instances.
bool is_other_kind(const std::string& stem) {
  static const Names beginnings = {"captions_", "person_keypoints_", "image_info_", "panoptic_", "stuff_"};
  return std::any_of(beginnings.begin(), beginnings.end(), [&](const auto& b) { return stem.starts_with(b); });
}

/// The COCO files of one folder, by name.
std::vector<fs::path> coco_files_in(const fs::path& dir) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entries(dir, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    std::error_code ignored;
    if (lower_case(path.extension().string()) == ".json" && !is_other_kind(path.stem().string()) &&
        fs::is_regular_file(path, ignored))
      found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  if (found.size() > kMaxCandidates) found.resize(kMaxCandidates);
  std::erase_if(found, [](const fs::path& path) { return !looks_like_coco(path.string()); });
  return found;
}

/// All files of annotations of a data set, by split in the order of reports.
std::vector<SplitFile> split_files(const fs::path& root) {
  std::vector<SplitFile> all;
  for (const fs::path& dir : {root, root / "annotations"})
    for (const fs::path& path : coco_files_in(dir)) all.push_back({split_in(path.stem().string()), path});
  if (all.empty())
    for (const std::string& split : known_splits())
      for (const fs::path& path : coco_files_in(root / split)) all.push_back({split, path});
  return in_order_of_splits(all);
}

/// As the file says; as the picture says where it does not; 0 x 0 where nobody does.
vit::Extent size_of(const CocoImage& image, const std::string& path) {
  constexpr int64_t kMaxSide = int64_t{1} << 30;
  if (image.height > 0 && image.width > 0 && image.height < kMaxSide && image.width < kMaxSide)
    return {image.height, image.width};
  try {
    return size_of_picture_file(path);
  } catch (const vit::Error&) {
    return {};
  }
}

/// From a file to a list, with everything checked that refers to something else.
class CocoReader {
 public:
  explicit CocoReader(std::string path) : path_(std::move(path)), checker_(list_.bad_boxes, kTolerance) {}

  BoxList read(const CocoFile& file, const std::string& split) {
    read_categories(file.categories);
    read_images(file.images, split);
    for (size_t i = 0; i < file.annotations.size(); ++i) read_annotation(file.annotations[i], i);
    return std::move(list_);
  }

 private:
  void read_categories(const std::vector<CocoCategory>& categories) {
    std::map<int64_t, std::string> names;
    for (size_t i = 0; i < categories.size(); ++i) {
      const CocoCategory& category = categories[i];
      if (!category.id) vit::fail_usage(path_, ": categories[", i, "].id: expected a whole number, got none");
      const std::string name = category.name.empty() ? std::to_string(*category.id) : category.name;
      const auto [known, is_new] = names.emplace(*category.id, name);
      if (!is_new && known->second != name)
        vit::fail_usage(path_, ": categories '", known->second, "' and '", name, "' have the same id, ", *category.id,
                        "; give each its own");
    }
    if (names.empty()) vit::fail_usage(path_, ": categories: the list is empty; there is no class to find");
    for (const auto& [id, name] : names) {
      classes_.emplace(id, static_cast<int64_t>(list_.class_names.size()));
      list_.category_ids.push_back(id);
      list_.class_names.push_back(name);
    }
  }

  void read_images(const std::vector<CocoImage>& images, const std::string& split) {
    PictureFinder finder(path_, split, "instances_");
    for (size_t i = 0; i < images.size(); ++i) {
      const CocoImage& image = images[i];
      if (!image.id) vit::fail_usage(path_, ": images[", i, "].id: expected a whole number, got none");
      if (image.file_name.empty()) vit::fail_usage(path_, ": images[", i, "].file_name: expected a name, got none");
      const auto [known, is_new] = pictures_.emplace(*image.id, list_.pictures.size());
      if (!is_new) {
        const std::string& first = names_[known->second];
        if (first != image.file_name)
          vit::fail_usage(path_, ": the pictures ", first, " and ", image.file_name, " have the same id, ", *image.id,
                          ", so that their boxes cannot be told apart");
        continue;
      }
      names_.push_back(image.file_name);
      const std::string path = finder.find(image.file_name);
      list_.pictures.push_back({.path = path, .id = *image.id, .size = size_of(image, path)});
    }
    if (list_.pictures.empty()) vit::fail_usage(path_, ": images: the list is empty");
    if (finder.missing() == static_cast<int64_t>(list_.pictures.size()))
      vit::fail_usage(path_, ": none of its ", finder.missing(), " pictures is there, beginning with ", names_.front(),
                      "; looked in ", vit::joined(finder.folders(), 8));
  }

  void read_annotation(const CocoAnnotation& annotation, size_t position) {
    std::string place = vit::str(path_, ": annotation ", annotation.id.value_or(static_cast<int64_t>(position)));
    const auto picture = annotation.image ? pictures_.find(*annotation.image) : pictures_.end();
    if (picture == pictures_.end()) {
      checker_.refuse(place, annotation.image ? vit::str("there is no picture ", *annotation.image) : "no image_id");
      return;
    }
    ListedPicture& image = list_.pictures[picture->second];
    place = vit::str(image.path, " (", place, ")");
    const auto category = annotation.category ? classes_.find(*annotation.category) : classes_.end();
    if (category == classes_.end()) {
      checker_.refuse(place, annotation.category ? vit::str("unknown category ", *annotation.category)
                                                 : std::string("no category_id"));
      return;
    }
    if (annotation.numbers != 4) {
      checker_.refuse(place, vit::str("bbox has ", annotation.numbers, " numbers, expected x, y, width, height"));
      return;
    }
    const auto& [x, y, width, height] = annotation.bbox;
    vit::Corners box = {x, y, x + width, y + height};
    if (!checker_.check(box, static_cast<double>(image.size.width), static_cast<double>(image.size.height), place))
      return;
    if (annotation.id && !ids_.insert(*annotation.id).second)
      list_.bad_boxes.push_back({place, vit::str("the id ", *annotation.id, " stands twice"), true});
    image.boxes.push_back({.box = box,
                           .label = category->second,
                           .crowd = annotation.crowd,
                           .area = annotation.area.value_or(vit::box_area(box)),
                           .id = annotation.id.value_or(static_cast<int64_t>(position)),
                           .track = annotation.track.value_or(-1)});
  }

  std::string path_;
  BoxList list_;
  BoxChecker checker_;
  std::unordered_map<int64_t, int64_t> classes_;  // by category id
  std::unordered_map<int64_t, size_t> pictures_;  // by image id
  Names names_;                                   // of the pictures, as the file has them
  std::set<int64_t> ids_;
};

OpenedDataset open_file(const std::string& path, const std::string& split, const DatasetRequest& request) {
  OpenedDataset opened{.root = path, .split = split};
  opened.data = make_listed_dataset(CocoReader(path).read(read_coco(path), split), request.decode);
  return opened;
}

OpenedDataset open_format(const DatasetRequest& request) {
  std::error_code error;
  if (!fs::is_directory(request.path, error)) return open_file(request.path, {}, request);
  const std::vector<SplitFile> files = split_files(request.path);
  if (files.empty())
    vit::fail_usage("data ", request.path,
                    ": there is no COCO file of instances in it, in annotations/ or in train/, val/, test/");
  const SplitFile& file = choose_file(files, request.split, request.path);
  return open_file(file.path.string(), file.split, request);
}

bool recognises(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    return lower_case(fs::path(path).extension().string()) == ".json" && looks_like_coco(path) &&
           !looks_like_coco_captions(path);
  return !split_files(path).empty();
}

std::vector<std::string> find_splits(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? names_of_splits(split_files(path), path) : Names();
}

}  // namespace

VITKIT_REGISTER_DATASET("coco", DatasetFormat{.summary = "COCO's JSON of instances: a file, or a folder with one per "
                                                         "split; Roboflow's folders",
                                              .aliases = {"coco_json", "roboflow"},
                                              .order = 25,
                                              .recognises = recognises,
                                              .splits = find_splits,
                                              .open = open_format});

}  // namespace datasets
