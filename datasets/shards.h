// Names of shards: "train-{000..099}.tar", "shards/*.tar", a folder of archives.
#pragma once

#include <string>
#include <vector>

namespace datasets {

/// Expands braces as a shell does: "{a,b}" and "{007..010}" (with leading zeros as in the first number), several and
/// nested ones. Text without braces is itself. Errors (usage): an unclosed brace, more than 100,000 names.
std::vector<std::string> expand_braces(const std::string& pattern);

/// The archives that a pattern or path means: braces expanded, then globs (`*`, `?`, `[...]`), then folders (*.tar in
/// them, sorted). Errors (usage): something is not there, nothing is found.
std::vector<std::string> find_shards(const std::string& pattern);

/// "train", "val", ... as the name of a shard or of its folder says between its separators ("train-0001.tar",
/// "set_val_3.tar", "test/0.tar"); empty when it says none.
std::string split_of_shard(const std::string& path);

}  // namespace datasets
