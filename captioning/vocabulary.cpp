#include "captioning/vocabulary.h"

#include <algorithm>

#include "vit/core/check.h"

namespace captioning {

namespace {

/// More numbers than any vocabulary has: what a hole may cost is bounded.
constexpr int64_t kMaxId = int64_t{1} << 22;

}  // namespace

void Vocabulary::add(const std::string& token, int64_t id, const std::string& where) {
  if (id < 0 || id >= kMaxId)
    vit::fail_usage(where, ": id ", id, " of '", token.substr(0, 80), "' is out of range (0 to ", kMaxId - 1, ")");
  const auto [place, is_new] = ids_.emplace(token, id);
  if (!is_new && place->second != id)
    vit::fail_usage(where, ": '", token.substr(0, 80), "' has two ids, ", place->second, " and ", id);
  const auto index = static_cast<size_t>(id);
  if (is_new && index < used_.size() && used_[index])
    vit::fail_usage(where, ": id ", id, " stands for '", tokens_[index].substr(0, 80), "' and for '",
                    token.substr(0, 80), "'");
  if (index >= tokens_.size()) {
    tokens_.resize(index + 1);
    used_.resize(index + 1);
  }
  tokens_[index] = token;
  longest_ = std::max(longest_, token.size());
  used_[index] = true;
}

std::optional<int64_t> Vocabulary::find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional<int64_t>(found->second);
}

const std::string& Vocabulary::token(int64_t id) const {
  if (!has(id)) vit::fail_usage("token ", id, " is not in the vocabulary of ", size());
  return tokens_[static_cast<size_t>(id)];
}

}  // namespace captioning
