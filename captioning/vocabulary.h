// Tokens and their numbers, in both directions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace captioning {

class Vocabulary {
 public:
  /// Errors (usage), with `where`: an id below 0 or far beyond the number of tokens; one id for two tokens, one token
  /// with two ids.
  void add(const std::string& token, int64_t id, const std::string& where);

  /// Ids are below this; there may be holes.
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  /// Bytes of the longest token.
  size_t longest() const { return longest_; }
  std::optional<int64_t> find(std::string_view token) const;
  bool has(int64_t id) const { return id >= 0 && id < size() && used_[static_cast<size_t>(id)]; }
  /// Errors (usage): no such id.
  const std::string& token(int64_t id) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> ids_;
  std::vector<std::string> tokens_;
  std::vector<bool> used_;
  size_t longest_ = 0;
};

}  // namespace captioning
