#include "datasets/shards.h"

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <optional>

#include "datasets/format.h"
#include "vit/core/check.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxNames = 100'000;
constexpr int kMaxDepth = 16;

/// "{...}" of the range form, expanded; none when it is none.
std::optional<std::vector<std::string>> expand_range(const std::string& inner, const std::string& pattern) {
  const size_t dots = inner.find("..");
  if (dots == std::string::npos) return std::nullopt;
  const std::string from = inner.substr(0, dots), to = inner.substr(dots + 2);
  const auto number = [](const std::string& text) -> std::optional<int64_t> {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
  };
  const std::optional<int64_t> first = number(from), last = number(to);
  if (!first || !last) return std::nullopt;
  const int64_t step = *first <= *last ? 1 : -1;
  if ((*last - *first) * step >= static_cast<int64_t>(kMaxNames))
    vit::fail_usage("data ", pattern, ": more than ", kMaxNames, " shards");
  const bool padded = from.size() > 1 && from.front() == '0';
  const size_t width = padded || (to.size() > 1 && to.front() == '0') ? std::max(from.size(), to.size()) : 0;
  std::vector<std::string> names;
  for (int64_t value = *first;; value += step) {
    std::string text = std::to_string(value);
    if (text.size() < width) text.insert(0, width - text.size(), '0');
    names.push_back(std::move(text));
    if (value == *last) return names;
  }
}

/// Where the brace that opens at `open` closes, and the commas of its own level. Errors (usage): nowhere.
size_t closing_brace(const std::string& text, size_t open, std::vector<size_t>& commas) {
  int depth = 0;
  for (size_t at = open; at < text.size(); ++at) {
    if (text[at] == '{') ++depth;
    if (text[at] == '}' && --depth == 0) return at;
    if (text[at] == ',' && depth == 1) commas.push_back(at);
  }
  vit::fail_usage("data ", text, ": a brace that is never closed");
}

void expand_into(const std::string& text, const std::string& pattern, int depth, std::vector<std::string>& names) {
  const size_t open = text.find('{');
  if (open == std::string::npos) {
    if (names.size() >= kMaxNames) vit::fail_usage("data ", pattern, ": more than ", kMaxNames, " shards");
    names.push_back(text);
    return;
  }
  if (depth == kMaxDepth) vit::fail_usage("data ", pattern, ": more than ", kMaxDepth, " braces");
  std::vector<size_t> commas;
  const size_t close = closing_brace(text, open, commas);
  std::vector<std::string> choices;
  const std::string inner = text.substr(open + 1, close - open - 1);
  if (const auto range = commas.empty() ? expand_range(inner, pattern) : std::nullopt) {
    choices = *range;
  } else {
    commas.push_back(close);
    size_t begin = open + 1;
    for (const size_t comma : commas) {
      choices.push_back(text.substr(begin, comma - begin));
      begin = comma + 1;
    }
  }
  for (const std::string& choice : choices)
    expand_into(text.substr(0, open) + choice + text.substr(close + 1), pattern, depth + 1, names);
}

/// Files that a glob matches, sorted.
std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

/// The archives in a folder, sorted.
std::vector<std::string> archives_in(const std::string& dir) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator entries(dir, error); !error && entries != fs::directory_iterator();
       entries.increment(error))
    if (entries->path().extension() == ".tar") paths.push_back(entries->path().string());
  if (error) vit::fail_usage("data ", dir, ": ", error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

void add_path(const std::string& path, std::vector<std::string>& shards) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    for (const std::string& archive : archives_in(path)) shards.push_back(archive);
    for (const std::string& split : known_splits())
      if (const fs::path dir = fs::path(path) / split; fs::is_directory(dir, error))
        for (const std::string& archive : archives_in(dir.string())) shards.push_back(archive);
    return;
  }
  if (!fs::exists(path, error)) vit::fail_usage("data ", path, ": there is no such shard");
  shards.push_back(path);
}

/// The split's name among the words of a name.
std::string split_among_words(const std::string& name) {
  std::string word;
  for (const char c : name + "-") {
    if (std::isalpha(static_cast<unsigned char>(c))) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      continue;
    }
    if (std::find(known_splits().begin(), known_splits().end(), word) != known_splits().end()) return word;
    word.clear();
  }
  return {};
}

}  // namespace

std::vector<std::string> expand_braces(const std::string& pattern) {
  std::vector<std::string> names;
  expand_into(pattern, pattern, 0, names);
  return names;
}

std::vector<std::string> find_shards(const std::string& pattern) {
  std::vector<std::string> shards;
  std::error_code error;
  if (fs::exists(pattern, error)) {  // whatever letters its name has
    add_path(pattern, shards);
  } else {
    for (const std::string& name : expand_braces(pattern)) {
      const bool is_glob = name.find_first_of("*?[") != std::string::npos;
      if (!is_glob) add_path(name, shards);
      if (is_glob)
        for (const std::string& path : matches(name)) add_path(path, shards);
    }
  }
  if (shards.empty()) vit::fail_usage("data ", pattern, ": there are no shards (*.tar)");
  return shards;
}

std::string split_of_shard(const std::string& path) {
  const fs::path file(path);
  const std::string split = split_among_words(file.stem().string());
  if (!split.empty()) return split;
  const std::string folder = file.parent_path().filename().string();
  const bool known = std::find(known_splits().begin(), known_splits().end(), folder) != known_splits().end();
  return known ? folder : std::string();
}

}  // namespace datasets
