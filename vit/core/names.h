// Help for misspelt names: the nearest known name, and the phrases that error messages share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vit {

/// Smallest number of insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (the optimal
/// string alignment distance). Letters compare without case, and '-' equals '_': neither is what people get wrong last.
size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `name` (the first of equals), or "" when none is near enough to be a plausible slip: within
/// a third of the longer length, or one containing the other.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

/// " (did you mean 'window'?)", or "" when no candidate is near. Starts with a blank, so that it follows a name
/// directly.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

/// "a, b, c"; at most `limit` names are spelled out, then "and N more".
std::string joined(const std::vector<std::string>& names, size_t limit = 100);

}  // namespace vit
