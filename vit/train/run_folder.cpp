#include "vit/train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

#include "vit/core/check.h"
#include "vit/core/file.h"

namespace vit {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 8> kRunFiles = {
    "config.yaml",     "metrics.csv",        "metrics.jsonl", "quarantine.jsonl",
    "bad_boxes.jsonl", "bad_captions.jsonl", "plots",         "checkpoints"};
constexpr std::string_view kEventPrefix = "events.out.tfevents.";
constexpr const char* kLockFile = ".lock";

bool is_run_file(const fs::path& entry) {
  const std::string name = entry.filename().string();
  return std::find(kRunFiles.begin(), kRunFiles.end(), name) != kRunFiles.end() || name.starts_with(kEventPrefix);
}

std::vector<fs::path> run_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (is_run_file(entry.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

void collect_differences(const ConfigNode& a, const ConfigNode& b, const std::string& path,
                         std::vector<std::string>& keys) {
  if (!a.is_map() || !b.is_map()) {
    if (!(a == b)) keys.push_back(path);
    return;
  }
  std::vector<std::string> names = a.keys();
  for (const std::string& name : b.keys())
    if (!a.has(name)) names.push_back(name);
  for (const std::string& name : names)
    collect_differences(a.get(name), b.get(name), path.empty() ? name : path + "." + name, keys);
}

}  // namespace

bool holds_run(const fs::path& path) {
  const std::vector<fs::path> files = run_files(path);
  std::error_code error;  // an empty list or folder is what a run leaves that was refused before it began
  return std::any_of(files.begin(), files.end(), [&](const fs::path& file) { return !fs::is_empty(file, error); });
}

std::vector<std::string> differing_keys(const ConfigNode& a, const ConfigNode& b) {
  std::vector<std::string> keys;
  collect_differences(a, b, "", keys);
  return keys;
}

RunFolder::RunFolder(const fs::path& path, RunMode mode) : path_(path) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_directory(path, error))
    fail_usage("output: ", path.string(), " is a file; a run needs a folder of its own");
  if (mode == RunMode::fresh && holds_run(path))
    fail_usage("output: ", path.string(), " holds another run; pass --resume to go on with it, --overwrite to ",
               "replace it, or output=FOLDER for another place");
  fs::create_directories(path, error);
  check(!error, "cannot make the folder ", path.string(), ": ", error.message());
  lock();
  remove_leftovers();
  if (mode == RunMode::overwrite) remove_run();
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) close(lock_);
}

/// The system releases the lock with the process, however it ends; the empty file stays.
void RunFolder::lock() {
  const fs::path file = path_ / kLockFile;
  lock_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  check(lock_ >= 0, "cannot write to the folder ", path_.string(), ": ", std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;  // some network folders have no locks
  close(lock_);
  lock_ = -1;
  fail_usage("output: another run is writing to ", path_.string(), "; wait for it, or pass output=FOLDER");
}

void RunFolder::remove_run() const {
  for (const fs::path& file : run_files(path_)) {
    std::error_code error;
    fs::remove_all(file, error);
    check(!error, "cannot remove ", file.string(), ": ", error.message());
  }
}

/// What an AtomicFile of a run that was killed left behind: ".config.yaml.4711-0.tmp".
void RunFolder::remove_leftovers() const {
  std::vector<fs::path> leftovers;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    const auto begins = [&](std::string_view file) { return name.starts_with(str(".", file, ".")); };
    if (name.ends_with(".tmp") && std::any_of(kRunFiles.begin(), kRunFiles.end(), begins))
      leftovers.push_back(entry.path());
  }
  for (const auto& entry : fs::directory_iterator(plots(), error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && name.ends_with(".tmp")) leftovers.push_back(entry.path());
  }
  for (const fs::path& leftover : leftovers) fs::remove(leftover, error);
}

bool RunFolder::has_config() const { return fs::exists(config_file()); }

void RunFolder::write_config(const ConfigNode& resolved) const {
  write_file_atomically(config_file(), resolved.to_yaml());
}

ConfigNode RunFolder::read_config() const { return ConfigNode::load(config_file()); }

}  // namespace vit
