// A model's weights: one or several safetensors files seen as one table of named tensors, and the report of what did
// not fit when they were loaded.
#pragma once

#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "vit/io/safetensors.h"

namespace vit {

/// Copies share the mapped files. Thread-safe.
class Weights {
 public:
  /// No tensors: every get() is an error.
  Weights();

  /// Opens a .safetensors file, an index (.json) with its shards, or the `model.safetensors` or else
  /// `model.safetensors.index.json` of a folder. The index's weight_map decides which tensors there are; other tensors
  /// of a shard and the index's total_size are ignored. Errors (kUsage): none of them there, a shard missing or not a
  /// plain file name, a tensor not in its shard, and as SafetensorsFile::open.
  static Weights open(const std::filesystem::path& path);

  /// Sorted.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return find(name) != nullptr; }
  /// Null pointer when there is none.
  const TensorInfo* find(const std::string& name) const;
  /// As SafetensorsFile::view. Errors (kUsage): no such tensor; the message has the nearest name.
  Tensor get(const std::string& name) const;
  /// As SafetensorsFile::release.
  void release(const std::string& name, const Tensor& tensor) const;
  /// What was opened, for messages: the file, or the index.
  const std::filesystem::path& path() const;
  /// Bytes of all tensors together.
  int64_t nbytes() const;

 private:
  struct Table;
  std::shared_ptr<const Table> table_;
};

/// What did not fit when named tensors were loaded into a model. All of it is collected before anything is reported.
struct LoadReport {
  struct Mismatch {
    std::string name;
    Shape expected;
    Shape found;
  };
  std::vector<std::string> missing;     ///< The model has them, the file has not.
  std::vector<std::string> unexpected;  ///< The file has them, the model has no use for them.
  std::vector<Mismatch> mismatched;     ///< Both have them, in different shapes.

  bool ok() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
  /// All of them by name, one line each; at most `limit` of each kind are spelled out, with the number of the others.
  /// `file` opens the message. Beside a missing tensor stands the
  /// unexpected one with a similar name.
  std::string message(const std::string& file, size_t limit = std::numeric_limits<size_t>::max()) const;
  /// Throws Error{kUsage} with the message unless ok().
  void throw_unless_ok(const std::string& file) const;
};

}  // namespace vit
