#include "vit/io/checkpoint.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/names.h"
#include "vit/io/home.h"

namespace vit {

namespace fs = std::filesystem;

struct Checkpoint::State {
  std::string name;
  fs::path dir;
  fs::path yaml;
  // What was read so far; the mutex makes the first reading safe from any thread.
  mutable std::mutex mutex;
  std::optional<nlohmann::json> config;
  std::optional<nlohmann::json> preprocessor;
  std::optional<Weights> weights;
};

namespace {

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// A training run's folder stands for its best checkpoint, or the last where nothing was evaluated; any other folder
/// for itself.
fs::path checkpoint_of_run(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / "config.json", ignored)) return folder;
  for (const char* link : {"best", "last"})
    if (const fs::path found = folder / "checkpoints" / link; is_folder(found)) return fs::canonical(found, ignored);
  return folder;
}

std::vector<std::string> file_names(const fs::path& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// The first pickled weights of a folder, or "". Large ones come in parts, "pytorch_model-00001-of-00002.bin".
std::string pickle_in(const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), "pytorch_model.bin") != names.end()) return "pytorch_model.bin";
  for (const std::string& name : names) {
    const std::string extension = fs::path(name).extension().string();
    // training_args.bin and the like are no weights, but nobody has them without weights beside.
    if (extension == ".pth" || extension == ".pt" || extension == ".bin" || extension == ".ckpt") return name;
  }
  return {};
}

/// Text inside single quotes of Python that itself stands inside double quotes of a shell.
std::string quoted_twice(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '\'' || c == '\\') result += "\\\\";
    if (c == '"' || c == '$' || c == '`') result += '\\';
    result += c;
  }
  return result;
}

/// Pickles run code when they are read and need Python to be read at all; the command does both where it belongs. It
/// unwraps the containers that training programs write, drops what is no tensor, and copies, because tensors that share
/// memory cannot be saved.
std::string conversion_command(const fs::path& dir, const std::string& pickle) {
  std::error_code error;
  const fs::path absolute = fs::absolute(dir, error);
  std::string folder = quoted_twice((error ? dir : absolute).lexically_normal().string());
  if (!folder.ends_with('/')) folder += '/';
  const bool in_parts = pickle.starts_with("pytorch_model-");
  const std::string load = in_parts ? "d = {k: v for f in glob.glob('" + folder +
                                          "pytorch_model-*.bin') for k, v in "
                                          "torch.load(f, map_location='cpu').items()}; "
                                    : "d = torch.load('" + folder + quoted_twice(pickle) +
                                          "', map_location='cpu'); "
                                          "d = d.get('state_dict', d.get('model', d)); ";
  return std::string("python3 -c \"import ") + (in_parts ? "glob, " : "") + "torch, safetensors.torch as s; " + load +
         "s.save_file({k: v.contiguous().clone() for k, v in d.items() if torch.is_tensor(v)}, '" + folder +
         "model.safetensors')\"";
}

bool has_weights_file(const fs::path& dir) {
  return is_there(dir / "model.safetensors") || is_there(dir / "model.safetensors.index.json");
}

/// Errors (kUsage) unless the folder is a checkpoint that can be opened.
void check_folder(const fs::path& dir) {
  const std::vector<std::string> names = file_names(dir);
  if (names.empty())
    fail_usage(dir.string(), ": the folder is empty: a checkpoint has config.json and model.safetensors");
  if (!has_weights_file(dir)) {
    if (const std::string pickle = pickle_in(names); !pickle.empty())
      fail_usage(dir.string(), ": the weights are a Python pickle (", pickle,
                 "), which is not read; convert them with\n  ", conversion_command(dir, pickle));
  }
  if (!is_there(dir / "config.json"))
    fail_usage(dir.string(), ": there is no config.json; the folder holds: ", joined(names, 20));
  if (!has_weights_file(dir))
    fail_usage(dir.string(), ": there are no weights: neither model.safetensors nor model.safetensors.index.json; the ",
               "folder holds: ", joined(names, 20));
}

/// A JSON file that must hold an object.
nlohmann::json load_object(const fs::path& path) {
  nlohmann::json parsed = load_json(path);
  const JsonObject refuses_all_else(parsed, path.string());
  return parsed;
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

/// Where huggingface_hub keeps its cache (huggingface_hub/constants.py).
fs::path hub_cache() {
  if (const char* cache = environment("HF_HUB_CACHE")) return cache;
  if (const char* cache = environment("HUGGINGFACE_HUB_CACHE")) return cache;
  if (const char* home = environment("HF_HOME")) return fs::path(home) / "hub";
  if (const char* cache = environment("XDG_CACHE_HOME")) return fs::path(cache) / "huggingface" / "hub";
  if (const char* home = environment("HOME")) return fs::path(home) / ".cache" / "huggingface" / "hub";
  return {};
}

/// A hub id is "name" or "org/name"; anything else could climb out of the cache.
bool is_hub_id(const std::string& model) {
  if (model.empty() || model.front() == '/' || model.back() == '/' || model.find("..") != std::string::npos)
    return false;
  return std::count(model.begin(), model.end(), '/') <= 1 && model.find("--") == std::string::npos;
}

fs::path repository_in_cache(const std::string& model) {
  std::string folder = "models--" + model;
  if (const size_t slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  return hub_cache() / folder;
}

/// The snapshot that refs/main names, else the newest; empty when there is none.
fs::path snapshot_of(const fs::path& repository) {
  if (is_there(repository / "refs" / "main")) {
    std::string revision = read_file(repository / "refs" / "main", 1000);
    revision.erase(std::remove_if(revision.begin(), revision.end(), [](unsigned char c) { return std::isspace(c); }),
                   revision.end());
    const bool is_plain = !revision.empty() && fs::path(revision).filename() == revision && revision != "..";
    if (is_plain && is_folder(repository / "snapshots" / revision)) return repository / "snapshots" / revision;
  }
  fs::path newest;
  fs::file_time_type newest_time;
  for (const std::string& name : file_names(repository / "snapshots")) {
    const fs::path snapshot = repository / "snapshots" / name;
    std::error_code error;
    const fs::file_time_type time = fs::last_write_time(snapshot, error);
    if (error || !is_folder(snapshot) || (!newest.empty() && time <= newest_time)) continue;
    newest = snapshot;
    newest_time = time;
  }
  return newest;
}

[[noreturn]] void fail_not_found(const std::string& model) {
  std::vector<std::string> bundled = bundled_models(), configs = config_names("model");
  std::vector<std::string> all = bundled;
  all.insert(all.end(), configs.begin(), configs.end());
  std::vector<std::string> tried = {"a folder of that name"};
  if (is_hub_id(model)) tried.push_back("the hub cache (" + repository_in_cache(model).string() + ")");
  tried.push_back("the bundled models (" + (bundled.empty() ? "there are none" : joined(bundled, 30)) + ")");
  tried.push_back("the model configurations (" + (configs.empty() ? "there are none" : joined(configs, 60)) + ")");
  fail_usage("model '", model, "' was not found", did_you_mean(model, all), "; tried: ", joined(tried));
}

}  // namespace

Checkpoint Checkpoint::open(const std::string& model) {
  if (model.empty()) fail_usage("model: the name is empty");
  Checkpoint checkpoint;
  checkpoint.state_ = std::make_shared<State>();
  State& state = *checkpoint.state_;
  state.name = model;

  const bool is_plain_name = fs::path(model).filename() == model && model != "." && model != "..";
  const auto use_folder = [&](const fs::path& dir) {
    check_folder(dir);
    state.dir = dir;
    return checkpoint;
  };
  if (is_folder(model)) return use_folder(checkpoint_of_run(model));
  if (is_there(model)) {
    const std::string extension = fs::path(model).extension().string();
    if (extension != ".yaml" && extension != ".yml")
      fail_usage("model ", model,
                 ": expected a checkpoint's folder or a .yaml configuration, got another kind of file; a ",
                 "checkpoint is named by the folder that holds its config.json and model.safetensors");
    state.yaml = model;
    return checkpoint;
  }
  if (is_plain_name) {
    if (const fs::path bundled = find_in_home(fs::path("models") / model); is_folder(bundled))
      return use_folder(bundled);
    state.yaml = find_in_home(fs::path("configs") / "model" / (model + ".yaml"));
    if (!state.yaml.empty()) return checkpoint;
  }
  if (is_hub_id(model))
    if (const fs::path snapshot = snapshot_of(repository_in_cache(model)); !snapshot.empty())
      return use_folder(snapshot);
  fail_not_found(model);
}

const std::string& Checkpoint::name() const { return state_->name; }
const fs::path& Checkpoint::dir() const { return state_->dir; }
const fs::path& Checkpoint::yaml() const { return state_->yaml; }

fs::path Checkpoint::file(const std::string& file_name) const {
  if (!has_weights()) return {};
  const fs::path path = dir() / file_name;
  return is_there(path) ? path : fs::path();
}

const nlohmann::json& Checkpoint::config() const {
  const std::lock_guard lock(state_->mutex);
  if (!has_weights()) fail_usage("model ", name(), ": it is a configuration, there is no config.json");
  if (!state_->config) state_->config = load_object(dir() / "config.json");
  return *state_->config;
}

const nlohmann::json* Checkpoint::preprocessor() const {
  const std::lock_guard lock(state_->mutex);
  const fs::path path = file("preprocessor_config.json");
  if (path.empty()) return nullptr;
  if (!state_->preprocessor) state_->preprocessor = load_object(path);
  return &*state_->preprocessor;
}

const Weights& Checkpoint::weights() const {
  const std::lock_guard lock(state_->mutex);
  if (!has_weights()) fail_usage("model ", name(), ": it is a configuration, there are no weights");
  if (!state_->weights) state_->weights = Weights::open(dir());
  return *state_->weights;
}

}  // namespace vit
