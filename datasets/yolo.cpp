// YOLO's text files as a format of data sets: data.yaml names classes and splits (folders or lists of pictures), and
// beside images/ lies labels/ with a file per picture: "CLASS CX CY WIDTH HEIGHT", shares of the picture. Rows with
// more numbers are polygons, of which the box around is taken. A picture without a file has no objects.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <utility>

#include "datasets/box_list.h"
#include "datasets/format.h"
#include "datasets/yolo_rows.h"
#include "vit/core/check.h"
#include "vit/core/config_node.h"
#include "vit/core/file.h"
#include "vit/core/names.h"
#include "vit/core/parallel.h"
#include "vit/media/source.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

constexpr vit::ConfigLimits kYamlLimits{.max_bytes = int64_t{16} << 20, .max_depth = 16, .max_nodes = 1'000'000};
constexpr int64_t kMaxLabelBytes = int64_t{16} << 20;
constexpr int64_t kMaxListBytes = int64_t{1} << 30;
constexpr int64_t kMaxClasses = 1'000'000;

/// The three splits by the keys that data.yaml has for them; "valid" is Roboflow's folder, not a key.
const Names& split_keys() {
  static const Names keys = {"train", "val", "test"};
  return keys;
}

bool is_yaml(const fs::path& path) { return path.extension() == ".yaml" || path.extension() == ".yml"; }

/// Whether a YAML file is one of YOLO's: it names classes and at least one split.
bool is_data_yaml(const fs::path& path) {
  try {
    const vit::ConfigNode node = vit::ConfigNode::load(path.string(), {}, kYamlLimits);
    if (!node.is_map() || node.get("names").is_null()) return false;
    return std::any_of(split_keys().begin(), split_keys().end(),
                       [&](const auto& key) { return !node.get(key).is_null(); });
  } catch (const vit::Error&) {
    return false;
  }
}

/// The file itself, or that of a folder; empty where there is none.
fs::path find_yaml(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return is_yaml(path) && is_data_yaml(path) ? path : fs::path();
  for (const char* name : {"data.yaml", "dataset.yaml", "data.yml", "dataset.yml"})
    if (const fs::path file = path / name; fs::is_regular_file(file, error) && is_data_yaml(file)) return file;
  return {};
}

/// Class names by number. Errors (usage): no list and no map of numbers; a number out of range or twice.
Names read_names(const vit::ConfigNode& node, const std::string& file) {
  Names names;
  if (node.is_list()) {
    for (const vit::ConfigNode& item : node.items()) names.push_back(item.is_scalar() ? item.text() : std::string());
  } else if (node.is_map()) {
    const auto count = static_cast<int64_t>(node.keys().size());
    names.resize(static_cast<size_t>(count));
    for (const std::string& key : node.keys()) {
      int64_t number = -1;
      const auto [rest, error] = std::from_chars(key.data(), key.data() + key.size(), number);
      if (error != std::errc() || rest != key.data() + key.size() || number < 0 || number >= count)
        vit::fail_usage(file, ": names: expected the numbers 0 to ", count - 1, ", got '", key, "'");
      names[static_cast<size_t>(number)] = node.get(key).is_scalar() ? node.get(key).text() : std::string();
    }
  } else {
    vit::fail_usage(file, ": names: expected a list of names or a map from numbers to names, got ", node.description());
  }
  if (names.empty() || static_cast<int64_t>(names.size()) > kMaxClasses)
    vit::fail_usage(file, ": names: expected 1 to ", kMaxClasses, " classes, got ", names.size());
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i].empty()) names[i] = std::to_string(i);
  return names;
}

/// data.yaml, as far as it is read.
class DataYaml {
 public:
  explicit DataYaml(fs::path file)
      : file_(std::move(file)), node_(vit::ConfigNode::load(file_.string(), {}, kYamlLimits)) {
    names_ = read_names(node_.get("names"), file_.string());
    const vit::ConfigNode path = node_.get("path");
    const fs::path beside = file_.parent_path();
    roots_ = {beside};
    if (path.is_scalar() && !path.text().empty())
      roots_.insert(roots_.begin(), {beside / path.text(), fs::path(path.text())});
  }

  const Names& names() const { return names_; }
  Names splits() const {
    Names splits;
    for (const std::string& key : split_keys())
      if (const vit::ConfigNode node = node_.get(key); !node.is_null() && !entries(node).empty()) splits.push_back(key);
    return splits;
  }

  /// All pictures of a split, sorted within each folder or list. Errors (usage): a folder or list that is not there.
  Names pictures(const std::string& split) const {
    Names all;
    for (const std::string& entry : entries(node_.get(split))) {
      const fs::path place = find(entry, split);
      std::error_code error;
      const Names some = fs::is_directory(place, error) ? pictures_below(place) : pictures_listed(place);
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }

 private:
  static Names entries(const vit::ConfigNode& node) {
    Names paths;
    if (node.is_scalar() && !node.text().empty()) paths.push_back(node.text());
    if (node.is_list())
      for (const vit::ConfigNode& item : node.items())
        if (item.is_scalar()) paths.push_back(item.text());
    return paths;
  }

  /// Where an entry is. Exports of Roboflow say ../train/images and mean train/images.
  fs::path find(const std::string& entry, const std::string& split) const {
    std::error_code error;
    Names tried;
    for (const fs::path& root : roots_)
      for (const std::string& name : {entry, entry.starts_with("../") ? entry.substr(3) : entry}) {
        const fs::path place = root / name;
        if (fs::exists(place, error)) return place;
        tried.push_back(place.string());
      }
    vit::fail_usage(file_.string(), ": ", split, ": ", entry, " is not there; looked for ", vit::joined(tried, 6));
  }

  static Names pictures_below(const fs::path& dir) {
    Names found;
    std::error_code error;
    fs::recursive_directory_iterator entries(dir, error);
    for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error))
      if (vit::has_image_extension(entries->path().string())) found.push_back(entries->path().string());
    if (error) vit::fail_usage("data ", dir.string(), ": ", error.message());
    std::sort(found.begin(), found.end());
    return found;
  }

  /// A text file with a path per line, relative to the set's folder ("./images/a.jpg") or absolute.
  Names pictures_listed(const fs::path& file) const {
    std::istringstream lines(vit::read_file(file, kMaxListBytes));
    Names found;
    for (std::string line; std::getline(lines, line);) {
      while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
      if (line.empty()) continue;
      const fs::path path(line);
      std::error_code error;
      fs::path place = path;
      for (const fs::path& root : {file.parent_path(), roots_.front(), file_.parent_path()})
        if (!path.is_absolute() && fs::exists(root / path, error)) {
          place = (root / path).lexically_normal();
          break;
        }
      found.push_back(place.string());
    }
    return found;
  }

  fs::path file_;
  vit::ConfigNode node_;
  Names names_;
  std::vector<fs::path> roots_;
};

/// The file of a picture's rows: the last folder "images" becomes "labels"; else it lies beside the picture.
fs::path label_file(const std::string& picture) {
  const fs::path whole(picture);
  const fs::path folders = whole.parent_path();
  std::vector<fs::path> parts(folders.begin(), folders.end());
  const auto images = std::find(parts.rbegin(), parts.rend(), fs::path("images"));
  if (images != parts.rend()) *images = "labels";
  fs::path labels;
  for (const fs::path& part : parts) labels /= part;
  return (labels / whole.filename()).replace_extension(".txt");
}

BoxList read_list(const DataYaml& yaml, const std::string& split) {
  const Names paths = yaml.pictures(split);
  if (paths.empty()) vit::fail_usage("data: there is no picture in the split ", split);
  BoxList list{.shares = true, .class_names = yaml.names()};
  list.pictures.resize(paths.size());
  std::vector<std::vector<BadBox>> bad(paths.size());
  vit::parallel_try(static_cast<int64_t>(paths.size()), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    ListedPicture& picture = list.pictures[at];
    picture.path = paths[at];
    picture.id = i;
    const fs::path file = label_file(paths[at]);
    std::error_code error;
    if (!fs::exists(file, error)) return;
    try {
      read_yolo_rows(vit::read_file(file, kMaxLabelBytes), file.string(), static_cast<int64_t>(list.class_names.size()),
                     picture, bad[at]);
    } catch (const vit::Error& failure) {
      bad[at].push_back({.source = file.string(), .reason = failure.what()});
    }
  });
  for (std::vector<BadBox>& some : bad) list.bad_boxes.insert(list.bad_boxes.end(), some.begin(), some.end());
  return list;
}

OpenedDataset open_format(const DatasetRequest& request) {
  const fs::path file = find_yaml(request.path);
  if (file.empty())
    vit::fail_usage("data ", request.path,
                    ": there is no data.yaml of YOLO in it, with `names` and at least one of train, val and test");
  const DataYaml yaml(file);
  OpenedDataset opened{.root = request.path, .split = choose_split(yaml.splits(), request.split, request.path)};
  if (opened.split.empty()) vit::fail_usage(file.string(), ": train, val and test are empty");
  opened.data = make_listed_dataset(read_list(yaml, opened.split), request.decode);
  return opened;
}

}  // namespace

VITKIT_REGISTER_DATASET("yolo",
                        DatasetFormat{.summary = "YOLO's text files: data.yaml, images/ and labels/",
                                      .aliases = {"ultralytics"},
                                      .order = 24,
                                      .recognises = [](const std::string& path) { return !find_yaml(path).empty(); },
                                      .splits =
                                          [](const std::string& path) {
                                            const fs::path file = find_yaml(path);
                                            return file.empty() ? Names() : DataYaml(file).splits();
                                          },
                                      .open = open_format});

}  // namespace datasets
