// PASCAL VOC's XML as a format of data sets: Annotations/ beside JPEGImages/ (and ImageSets/Main/ with the splits), or
// XML files beside their pictures, in a folder per split (Roboflow) or in one. Classes are the names that occur in any
// split, by their bytes. Corners are numbers of pixels from 1, both inside the box: as edges they are xmin - 1,
// ymin - 1, xmax, ymax (as detectron2 and BCCD's and VOC's COCO conversions have it).
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "datasets/box_list.h"
#include "datasets/format.h"
#include "datasets/voc_xml.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/names.h"
#include "vit/core/parallel.h"
#include "vit/media/source.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

/// Tools that count from 0 have an xmin of 0: a pixel outside is no fault.
constexpr double kTolerance = 1.0;
/// Files that are looked into before a folder is no VOC set.
constexpr size_t kSniffedFiles = 3;
constexpr size_t kSniffedBytes = 4096;

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// The XML files of a folder, by name; the first `limit` that are met, where it is above 0.
std::vector<fs::path> xml_files(const fs::path& dir, size_t limit = 0) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entries(dir, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (entries->path().extension() == ".xml") found.push_back(entries->path());
    if (limit > 0 && found.size() == limit) break;
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool looks_like_voc(const fs::path& dir) {
  const std::vector<fs::path> files = xml_files(dir, kSniffedFiles);
  return std::any_of(files.begin(), files.end(), [](const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(kSniffedBytes, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text.find("<annotation") != std::string::npos;
  });
}

/// One annotation file, before anything is read.
struct Entry {
  fs::path xml;
  std::string split;  ///< empty: of no split
};

/// The stems that a file of ImageSets/Main lists: the first word of each line.
Names listed_stems(const fs::path& file) {
  std::istringstream lines(vit::read_file(file));
  Names stems;
  for (std::string line, word; std::getline(lines, line);)
    if (std::istringstream words(line); words >> word)
      stems.push_back(vit::has_image_extension(word) ? fs::path(word).stem().string() : word);
  return stems;
}

class Layout {
 public:
  /// Finds the files, none of which is read.
  explicit Layout(const fs::path& root) : root_(root) {
    if (looks_like_voc(root / "Annotations")) {
      annotations_ = root / "Annotations";
    } else if (looks_like_voc(root)) {
      annotations_ = root;
    } else {
      for (const std::string& split : known_splits())
        if (looks_like_voc(root / split)) folders_.push_back(split);
      return;
    }
    for (const std::string& split : known_splits())
      if (is_file(list_of(split))) lists_.push_back(split);
  }

  bool is_voc() const { return !annotations_.empty() || !folders_.empty(); }
  const Names& splits() const { return folders_.empty() ? lists_ : folders_; }
  const fs::path& root() const { return root_; }

  /// Every XML file there is: classes are those of all.
  std::vector<fs::path> all_files() const {
    if (folders_.empty()) return xml_files(annotations_);
    std::vector<fs::path> all;
    for (const std::string& split : folders_) {
      const std::vector<fs::path> files = xml_files(root_ / split);
      all.insert(all.end(), files.begin(), files.end());
    }
    return all;
  }

  /// Those of a split, in its order; all where it is empty.
  std::vector<fs::path> files_of(const std::string& split) const {
    if (split.empty()) return all_files();
    if (!folders_.empty()) return xml_files(root_ / split);
    std::vector<fs::path> files;
    for (const std::string& stem : listed_stems(list_of(split))) files.push_back(annotations_ / (stem + ".xml"));
    return files;
  }

  /// The split that is meant. trainval, which repeats the others, has to be asked for by name.
  std::string choose(const std::string& wanted) const {
    if (folders_.empty() && !wanted.empty() && is_file(list_of(wanted))) return wanted;
    return choose_split(splits(), wanted, root_.string());
  }

 private:
  fs::path list_of(const std::string& split) const { return root_ / "ImageSets" / "Main" / (split + ".txt"); }

  fs::path root_, annotations_;
  Names lists_;    // splits that ImageSets/Main has
  Names folders_;  // splits with a folder of XML files each
};

/// The picture of an annotation: where it is, or should be.
std::string find_picture(const fs::path& root, const fs::path& xml, const std::string& filename) {
  const std::string stem = xml.stem().string(), name = fs::path(filename).filename().string();
  const std::vector<fs::path> folders = {root / "JPEGImages", root / "images", xml.parent_path()};
  for (const fs::path& folder : folders) {
    for (const char* ending : {".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"})
      if (const fs::path path = folder / (stem + ending); is_file(path)) return path.string();
    if (const fs::path path = folder / name; !name.empty() && is_file(path)) return path.string();
  }
  const fs::path& usual = is_folder(folders.front()) ? folders.front() : folders.back();
  return (usual / (name.empty() ? stem + ".jpg" : name)).string();
}

/// What an XML file says, or why it says nothing.
struct Parsed {
  VocAnnotation annotation;
  std::string problem;
};

std::map<fs::path, Parsed> parse_all(const std::vector<fs::path>& files) {
  std::vector<Parsed> parsed(files.size());
  vit::parallel_try(static_cast<int64_t>(files.size()), [&](int64_t i) {
    const fs::path& path = files[static_cast<size_t>(i)];
    Parsed& one = parsed[static_cast<size_t>(i)];
    try {
      one.annotation = parse_voc(vit::read_file(path, kMaxVocBytes), path.string());
    } catch (const vit::Error& error) {
      one.problem = error.what();
    }
  });
  std::map<fs::path, Parsed> by_path;
  for (size_t i = 0; i < files.size(); ++i) by_path.emplace(files[i], std::move(parsed[i]));
  return by_path;
}

Names class_names_of(const std::map<fs::path, Parsed>& files) {
  std::set<std::string> names;
  for (const auto& [path, file] : files)
    for (const VocObject& object : file.annotation.objects)
      if (!object.name.empty()) names.insert(object.name);
  return {names.begin(), names.end()};
}

void add_objects(const VocAnnotation& annotation, const fs::path& xml, const Names& classes, BoxChecker& checker,
                 ListedPicture& picture) {
  const vit::Extent size = picture.size;
  for (size_t i = 0; i < annotation.objects.size(); ++i) {
    const VocObject& object = annotation.objects[i];
    const std::string place = vit::str(picture.path, " (", xml.string(), ": object ", i + 1, ")");
    if (object.name.empty()) {
      checker.refuse(place, "no name");
      continue;
    }
    const auto& [xmin, ymin, xmax, ymax] = object.box;
    if (xmin == xmax || ymin == ymax) {
      // A box of one pixel by the letter; in fact always a slip of the mouse.
      checker.refuse(place, vit::str("no area: (", xmin, ", ", ymin, ", ", xmax, ", ", ymax, ")"));
      continue;
    }
    vit::Corners box = {xmin - 1.0, ymin - 1.0, xmax, ymax};
    if (xmax < xmin) box[0] = xmin;  // stays inverted
    if (ymax < ymin) box[1] = ymin;
    if (!checker.check(box, static_cast<double>(size.width), static_cast<double>(size.height), place)) continue;
    const auto label = std::lower_bound(classes.begin(), classes.end(), object.name) - classes.begin();
    picture.boxes.push_back({.box = box,
                             .label = label,
                             .difficult = object.difficult,
                             .area = vit::box_area(box),
                             .id = static_cast<int64_t>(i)});
  }
}

/// As annotated; as the picture says where it is not; 0 x 0 where nobody does.
vit::Extent size_of(const VocAnnotation& annotation, const std::string& path) {
  if (annotation.size.height > 0) return annotation.size;
  try {
    return size_of_picture_file(path);
  } catch (const vit::Error&) {
    return {};
  }
}

BoxList read_list(const Layout& layout, const std::string& split) {
  const std::vector<fs::path> wanted = layout.files_of(split);
  const std::map<fs::path, Parsed> all = parse_all(layout.all_files());
  BoxList list;
  list.class_names = class_names_of(all);
  BoxChecker checker(list.bad_boxes, kTolerance);
  for (const fs::path& xml : wanted) {
    const auto found = all.find(xml);
    if (found == all.end()) {
      list.skipped.push_back(xml.string());  // listed, but not there
      continue;
    }
    const Parsed& file = found->second;
    if (!file.problem.empty()) {
      checker.refuse(xml.string(), file.problem + "; its picture is left out");
      continue;
    }
    const std::string path = find_picture(layout.root(), xml, file.annotation.filename);
    ListedPicture& picture = list.pictures.emplace_back();
    picture = {
        .path = path, .id = static_cast<int64_t>(list.pictures.size()) - 1, .size = size_of(file.annotation, path)};
    add_objects(file.annotation, xml, list.class_names, checker, picture);
  }
  if (list.pictures.empty())
    vit::fail_usage("data ", layout.root().string(), ": no picture with annotations",
                    split.empty() ? "" : " in the split " + split,
                    list.bad_boxes.empty() ? "" : ", beginning with " + list.bad_boxes.front().reason);
  return list;
}

OpenedDataset open_format(const DatasetRequest& request) {
  const Layout layout(request.path);
  if (!layout.is_voc())
    vit::fail_usage("data ", request.path,
                    ": there are no XML files of VOC in it, in Annotations/ or in train/, valid/, test/");
  OpenedDataset opened{.root = request.path, .split = layout.choose(request.split)};
  opened.data = make_listed_dataset(read_list(layout, opened.split), request.decode);
  return opened;
}

}  // namespace

VITKIT_REGISTER_DATASET(
    "voc",
    DatasetFormat{.summary = "PASCAL VOC's XML: Annotations/, JPEGImages/, ImageSets/Main/; or XML beside pictures",
                  .aliases = {"pascal_voc"},
                  .order = 26,
                  .recognises = [](const std::string& path) { return is_folder(path) && Layout(path).is_voc(); },
                  .splits = [](const std::string& path) { return Layout(path).splits(); },
                  .open = open_format});

}  // namespace datasets
