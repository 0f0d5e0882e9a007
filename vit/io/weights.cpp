#include "vit/io/weights.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "vit/core/names.h"
#include "vit/io/json.h"

namespace vit {

namespace fs = std::filesystem;

namespace {

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

}  // namespace

struct Weights::Table {
  fs::path path;
  std::vector<SafetensorsFile> files;
  std::map<std::string, size_t> file_of;  // tensor name -> index into files

  void add_file(const fs::path& file);
  void add_index(const fs::path& index);
};

void Weights::Table::add_file(const fs::path& file) {
  files.push_back(SafetensorsFile::open(file));
  for (const TensorInfo& info : files.back().tensors()) file_of[info.name] = files.size() - 1;
}

void Weights::Table::add_index(const fs::path& index) {
  const nlohmann::json parsed = load_json(index, {.unique_keys = true});
  const JsonObject weight_map = JsonObject(parsed, index.string()).get_object("weight_map");
  if (weight_map.keys().empty()) fail_usage(index.string(), ": 'weight_map' names no tensor");
  std::map<std::string, size_t> opened;
  for (const std::string& name : weight_map.keys()) {
    const std::string shard = weight_map.require_string(name);
    // An index is data from elsewhere: it may name files beside itself, and nothing else of this machine's.
    const bool is_plain = !shard.empty() && fs::path(shard).filename() == shard && shard != "." && shard != "..";
    if (!is_plain) fail_usage(weight_map.where(name), ": a shard must be a file beside the index, got '", shard, "'");
    const auto [entry, is_new] = opened.emplace(shard, files.size());
    if (is_new) {
      const fs::path file = index.parent_path() / shard;
      if (!is_there(file)) fail_usage(index.string(), ": the shard ", shard, " is missing");
      files.push_back(SafetensorsFile::open(file));
    }
    if (!files[entry->second].find(name))
      fail_usage(index.string(), ": the tensor '", name, "' is not in its shard ", shard);
    file_of[name] = entry->second;
  }
}

Weights::Weights() : table_(std::make_shared<Table>()) {}

Weights Weights::open(const fs::path& path) {
  auto table = std::make_shared<Table>();
  table->path = path;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    table->path = path / "model.safetensors";
    if (!is_there(table->path)) table->path = path / "model.safetensors.index.json";
    if (!is_there(table->path))
      fail_usage(path.string(), ": there is neither model.safetensors nor model.safetensors.index.json");
  }
  if (table->path.extension() == ".json")
    table->add_index(table->path);
  else
    table->add_file(table->path);
  Weights weights;
  weights.table_ = std::move(table);
  return weights;
}

std::vector<std::string> Weights::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : table_->file_of) names.push_back(name);
  return names;
}

const TensorInfo* Weights::find(const std::string& name) const {
  const auto found = table_->file_of.find(name);
  return found == table_->file_of.end() ? nullptr : table_->files[found->second].find(name);
}

Tensor Weights::get(const std::string& name) const {
  const auto found = table_->file_of.find(name);
  if (found == table_->file_of.end())
    fail_usage(table_->path.string(), ": there is no tensor '", name, "'", did_you_mean(name, names()));
  return table_->files[found->second].view(name);
}

void Weights::release(const std::string& name, const Tensor& tensor) const {
  const auto found = table_->file_of.find(name);
  if (found != table_->file_of.end()) table_->files[found->second].release(tensor);
}

const fs::path& Weights::path() const { return table_->path; }

int64_t Weights::nbytes() const {
  int64_t bytes = 0;
  for (const auto& [name, file] : table_->file_of) bytes += table_->files[file].find(name)->nbytes;
  return bytes;
}

namespace {

/// "\n  3 missing tensors:\n    a\n    b\n    and 1 more"
template <class Entry, class Describe>
void append_section(std::string& text, const char* kind, const std::vector<Entry>& entries, size_t limit,
                    const Describe& describe) {
  if (entries.empty()) return;
  text += str("\n  ", entries.size(), " ", kind, entries.size() == 1 ? " tensor:" : " tensors:");
  for (size_t i = 0; i < std::min(limit, entries.size()); ++i) text += "\n    " + describe(entries[i]);
  if (entries.size() > limit) text += str("\n    and ", entries.size() - limit, " more");
}

}  // namespace

std::string LoadReport::message(const std::string& file, size_t limit) const {
  if (ok()) return file + ": all tensors fit the model";
  // Suggestions compare every missing with every unexpected name: worth it for slips, not for another architecture.
  const bool suggest = missing.size() * unexpected.size() <= 10'000;
  std::string text = file + ": the weights do not fit the model";
  append_section(text, "missing", missing, limit,
                 [&](const std::string& name) { return name + (suggest ? did_you_mean(name, unexpected) : ""); });
  append_section(text, "unexpected", unexpected, limit, [](const std::string& name) { return name; });
  append_section(text, "wrongly shaped", mismatched, limit, [](const Mismatch& mismatch) {
    return str(mismatch.name, ": expected ", mismatch.expected, ", found ", mismatch.found);
  });
  return text;
}

void LoadReport::throw_unless_ok(const std::string& file) const {
  if (!ok()) fail_usage(message(file));
}

}  // namespace vit
