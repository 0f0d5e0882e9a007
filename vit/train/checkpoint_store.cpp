#include "vit/train/checkpoint_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "vit/core/file.h"

namespace vit {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";
constexpr const char* kWeightFile = "model.safetensors";
constexpr const char* kLast = "last";
constexpr const char* kBest = "best";

std::string name_of_step(int64_t step) {
  std::string digits = std::to_string(step);
  digits.insert(0, digits.size() < 8 ? 8 - digits.size() : 0, '0');
  return std::string(kPrefix) + digits;
}

/// The step of a checkpoint's folder name, or -1.
int64_t step_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix)) return -1;
  int64_t step = -1;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  return error == std::errc() && stop == end && step >= 0 ? step : -1;
}

/// What a save that did not finish is called: hidden, and never mistaken for a checkpoint.
fs::path hidden_name(const fs::path& folder, const std::string& name, const char* purpose) {
  return folder / ("." + name + "." + purpose + ".tmp");
}
bool is_hidden_name(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with(".") && name.ends_with(".tmp");
}

void remove_folder(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  check(!error, "cannot remove ", path.string(), ": ", error.message());
}

/// Brings a folder's entries to the disk. File systems that cannot do that for folders are left to their own ways.
void synchronise_folder(const fs::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
}

void rename_or_fail(const fs::path& from, const fs::path& to) {
  check(rename(from.c_str(), to.c_str()) == 0, "cannot rename ", from.string(), " to ", to.filename().string(), ": ",
        std::strerror(errno));
}

/// Descending steps.
std::vector<fs::path> checkpoints_in(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (step_of(entry.path()) >= 0 && entry.is_directory()) found.push_back(entry.path());
  std::sort(found.begin(), found.end(), [](const fs::path& a, const fs::path& b) { return step_of(a) > step_of(b); });
  return found;
}

/// Removes a folder under construction unless it was published.
struct Unfinished {
  fs::path path;
  ~Unfinished() {
    std::error_code error;
    if (!path.empty()) fs::remove_all(path, error);
  }
};

}  // namespace

CheckpointStore::CheckpointStore(const fs::path& folder, int64_t keep) : folder_(folder), keep_(keep) {
  check(keep >= 1, "checkpoints: at least one must be kept, got ", keep);
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, "cannot make the folder ", folder.string(), ": ", error.message());
  remove_leftovers();
  // A run that was killed between a checkpoint's appearance and its links would have set them now.
  if (const auto found = newest()) settle(*found, is_best_checkpoint(*found));
}

fs::path CheckpointStore::save(const CheckpointContent& content) {
  const std::string name = name_of_step(content.state.step);
  const fs::path target = folder_ / name;
  Unfinished unfinished{hidden_name(folder_, name, "new")};
  try {
    remove_folder(unfinished.path);
    write_content(unfinished.path, content);
    publish(unfinished.path, target);
  } catch (const Error& error) {
    const auto older = newest();
    fail("cannot save the checkpoint of step ", content.state.step, ": ", error.what(),
         older ? str("; the checkpoint in ", older->string(), " is intact") : "");
  }
  settle(target, content.state.is_best);
  return target;
}

void CheckpointStore::write_content(const fs::path& into, const CheckpointContent& content) const {
  std::error_code error;
  fs::create_directory(into, error);
  check(!error, "cannot make the folder ", into.string(), ": ", error.message());
  FileSizes sizes;
  write_safetensors(into / kWeightFile, content.model, {{"format", "pt"}});
  sizes[kWeightFile] = static_cast<int64_t>(fs::file_size(into / kWeightFile));
  for (const auto& [name, text] : content.files) {
    check(name == fs::path(name).filename() && !name.empty(), "checkpoint: '", name, "' is not a plain file name");
    write_file_atomically(into / name, text);
    sizes[name] = static_cast<int64_t>(text.size());
  }
  write_train_state(into, content.state, sizes);
  synchronise_folder(into);
}

/// Makes `written` appear as `target` at once, even where a checkpoint of that step is already: the two are exchanged.
void CheckpointStore::publish(const fs::path& written, const fs::path& target) const {
  if (!fs::exists(fs::symlink_status(target))) {
    rename_or_fail(written, target);
  } else if (renameat2(AT_FDCWD, written.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    remove_folder(written);
  } else {
    // File systems without exchange: for a moment there is neither, but what takes its place is complete and on the
    // disk, and remove_leftovers() puts the old one back.
    const fs::path old = hidden_name(folder_, target.filename().string(), "old");
    rename_or_fail(target, old);
    rename_or_fail(written, target);
    remove_folder(old);
  }
  synchronise_folder(folder_);
}

void CheckpointStore::point_link(const char* link, const fs::path& checkpoint) const {
  const fs::path path = folder_ / link;
  std::error_code error;
  if (fs::is_symlink(path) && fs::read_symlink(path, error) == checkpoint.filename()) return;
  const fs::path fresh = hidden_name(folder_, link, "link");
  fs::remove(fresh, error);
  check(symlink(checkpoint.filename().c_str(), fresh.c_str()) == 0, "cannot write ", path.string(), ": ",
        std::strerror(errno));
  rename_or_fail(fresh, path);
}

void CheckpointStore::settle(const fs::path& newest, bool is_best) const {
  point_link(kLast, newest);
  if (is_best) point_link(kBest, newest);
  synchronise_folder(folder_);
  remove_old(newest);
}

/// A checkpoint that goes is hidden first: one that is half removed must not look like one.
void CheckpointStore::remove_old(const fs::path& newest) const {
  std::error_code error;
  const fs::path best_name = fs::read_symlink(folder_ / kBest, error);
  int64_t kept = 0;
  for (const fs::path& checkpoint : checkpoints_in(folder_)) {
    if (step_of(checkpoint) > step_of(newest)) continue;  // damaged: for people to look at
    if (kept++ < keep_ || checkpoint.filename() == best_name) continue;
    const fs::path hidden = hidden_name(folder_, checkpoint.filename().string(), "gone");
    remove_folder(hidden);
    rename_or_fail(checkpoint, hidden);
    remove_folder(hidden);
  }
}

void CheckpointStore::remove_leftovers() const {
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder_))
    if (is_hidden_name(entry.path())) leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) {
    const std::string name = leftover.filename().string();
    constexpr std::string_view kOldSuffix = ".old.tmp";
    const fs::path target = folder_ / name.substr(1, name.size() - 1 - std::min(name.size() - 1, kOldSuffix.size()));
    const bool was_in_use = name.ends_with(kOldSuffix) && step_of(target) >= 0 && !fs::exists(target);
    if (was_in_use)
      rename_or_fail(leftover, target);
    else
      remove_folder(leftover);
  }
}

std::optional<fs::path> CheckpointStore::newest(std::vector<std::string>* passed_over) const {
  for (const fs::path& checkpoint : checkpoints_in(folder_)) {
    const std::string damage = find_damage(checkpoint);
    if (damage.empty()) return checkpoint;
    if (passed_over) passed_over->push_back(checkpoint.string() + ": " + damage);
  }
  return {};
}

std::optional<fs::path> CheckpointStore::best() const {
  std::error_code error;
  const fs::path name = fs::read_symlink(folder_ / kBest, error);
  if (error || !find_damage(folder_ / name).empty()) return {};
  return folder_ / name;
}

}  // namespace vit
