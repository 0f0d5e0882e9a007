#include "vit/train/train_state.h"

#include <nlohmann/json.hpp>
#include <system_error>

#include "vit/core/file.h"
#include "vit/io/json.h"
#include "vit/io/safetensors.h"

namespace vit {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kFormat = 1;
constexpr const char* kJsonFile = "train_state.json";
constexpr const char* kTensorFile = "train_state.safetensors";

/// A map of strings or sizes in the JSON object.
template <class Value>
std::map<std::string, Value> read_map(const json& file, const char* key, const std::string& where) {
  const auto found = file.find(key);
  if (found == file.end() || !found->is_object()) fail_usage(where, ": '", key, "' is not an object");
  std::map<std::string, Value> values;
  for (const auto& [name, value] : found->items()) {
    const bool fits = std::is_same_v<Value, std::string> ? value.is_string() : value.is_number_integer();
    if (!fits) fail_usage(where, ": ", key, ".", name, " has the wrong type");
    values[name] = value.template get<Value>();
  }
  return values;
}

json load_state_json(const fs::path& folder) {
  json file = load_json(folder / kJsonFile);
  const JsonObject object(file, (folder / kJsonFile).string());
  const int64_t format = object.require_int("format", {.min = 1});
  if (format > kFormat)
    fail_usage(object.where(), ": format ", format, " is of a later version of the toolkit; this one reads up to ",
               kFormat);
  return file;
}

}  // namespace

void write_train_state(const fs::path& folder, const TrainState& state, FileSizes sizes) {
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, tensor] : state.tensors) entries.push_back({name, tensor});
  write_safetensors(folder / kTensorFile, entries);
  sizes[kTensorFile] = static_cast<int64_t>(fs::file_size(folder / kTensorFile));
  json file = {{"format", kFormat},      {"epoch", state.epoch},       {"batch", state.batch},
               {"step", state.step},     {"is_best", state.is_best},   {"metric", nullptr},
               {"config", state.config}, {"facts", json(state.facts)}, {"files", json(sizes)}};
  if (state.metric) file["metric"] = *state.metric;
  std::string text;
  try {
    text = file.dump(2) + "\n";
  } catch (const json::exception&) {
    fail("train state: the configuration or a fact is not UTF-8");
  }
  write_file_atomically(folder / kJsonFile, text);
}

TrainState read_train_state(const fs::path& folder) {
  const json file = load_state_json(folder);
  const JsonObject object(file, (folder / kJsonFile).string());
  TrainState state;
  state.epoch = object.require_int("epoch", {.min = 0});
  state.batch = object.require_int("batch", {.min = 0});
  state.step = object.require_int("step", {.min = 0});
  state.is_best = object.get_bool("is_best", false);
  if (object.has("metric")) state.metric = object.require_double("metric");
  state.config = object.require_string("config");
  state.facts = read_map<std::string>(file, "facts", object.where());
  const SafetensorsFile tensors = SafetensorsFile::open(folder / kTensorFile);
  for (const TensorInfo& info : tensors.tensors()) state.tensors[info.name] = tensors.view(info.name);
  return state;
}

std::string find_damage(const fs::path& folder) {
  try {
    const json file = load_state_json(folder);
    for (const auto& [name, size] : read_map<int64_t>(file, "files", (folder / kJsonFile).string())) {
      std::error_code error;
      const auto found = static_cast<int64_t>(fs::file_size(folder / name, error));
      if (error) return str(name, " is missing");
      if (found != size) return str(name, " has ", found, " bytes instead of ", size);
    }
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

bool is_best_checkpoint(const fs::path& folder) {
  const json file = load_state_json(folder);
  return JsonObject(file, (folder / kJsonFile).string()).get_bool("is_best", false);
}

}  // namespace vit
