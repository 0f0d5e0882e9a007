// Names of classes: a checkpoint's own, ImageNet-1k's for models of a thousand classes, else numbers.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace vit {

/// Where names came from.
enum class LabelSource {
  checkpoint,  ///< its config.json
  imagenet1k,  ///< configs/labels/imagenet1k.tsv
  numbers,     ///< nobody said: "class_0", "class_1", ...
};

/// The names of a classifier's K classes. Immutable once made, hence thread-safe.
class ClassLabels {
 public:
  /// No classes.
  ClassLabels() = default;

  /// Reads the names from a config.json:
  ///   Hugging Face: `id2label`, a map of the numbers 0 to K - 1 (as text, in any order) to names;
  ///   timm: `label_names`, a list, or a map of numbers to names, which may leave gaps ("class_<i>" there), and
  ///         `label_descriptions`, a map of these names (synsets, say) to readable ones, which are then shown. Both
  ///         stand at the top level, which wins, or in `pretrained_cfg`; old files call the first `labels`.
  /// Without names a model of 1000 classes has ImageNet-1k's, any other "class_<i>". `num_classes` 0: a model without a
  /// head, no labels. `where` opens messages.
  /// Errors (usage): names for another number of classes, keys that are no class numbers, a number twice, a name that
  /// is no text.
  static ClassLabels from_checkpoint(const nlohmann::json& config, int64_t num_classes, const std::string& where);
  /// Names that the caller has. Errors: none.
  static ClassLabels from_names(std::vector<std::string> names, LabelSource source = LabelSource::checkpoint);

  /// Errors: `index` is not in [0, size()).
  const std::string& name(int64_t index) const;
  int64_t size() const { return static_cast<int64_t>(names_.size()); }
  LabelSource source() const { return source_; }

  /// The class that a name means: the name shown, or timm's `label_names` entry behind a description. Nothing when no
  /// class or more than one has it (ImageNet has two kinds of crane).
  std::optional<int64_t> find(const std::string& name) const;

 private:
  ClassLabels(std::vector<std::string> names, const std::vector<std::string>& keys, LabelSource source);
  void index_name(const std::string& name, int64_t index);

  std::vector<std::string> names_;
  std::unordered_map<std::string, int64_t> index_of_;  // kAmbiguous where several classes have the name
  LabelSource source_ = LabelSource::numbers;
};

/// WordNet synset of an ImageNet-1k class: 0 -> "n01440764". Folders of the data set have these names.
/// Errors: `index` is not in [0, 1000) (failure); the table of labels is missing or damaged (usage).
const std::string& imagenet_wnid(int64_t index);

/// The reverse; nothing for anything else than a synset of ImageNet-1k. Errors: as above, for the table.
std::optional<int64_t> imagenet_index_of_wnid(std::string_view wnid);

}  // namespace vit
