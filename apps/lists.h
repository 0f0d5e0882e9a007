// What this build knows, by kind: the registries and tables that `vitkit info --list` prints.
#pragma once

#include <string>
#include <vector>

namespace apps {

/// "models", "attentions", ...: what can be listed. Sorted.
std::vector<std::string> list_names();

/// A name, and one line about it where there is one.
struct ListedName {
  std::string name, summary{};
};

/// The names of one kind. Errors (usage): no such kind; the message has the nearest and all of them.
std::vector<ListedName> listed(const std::string& kind);

}  // namespace apps
