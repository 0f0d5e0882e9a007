// A registry maps names to factories. A file that ends with one registration line is all the wiring a new attention
// mechanism, model or head needs; tests are parametrised over names().
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/check.h"
#include "vit/core/names.h"

namespace vit {

template <class Product>
class Registry {
 public:
  /// `kind` names what is registered, in error messages: "attention", "model".
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}

  /// Errors: the name is taken.
  bool add(const std::string& name, Product product) {
    check(entries_.emplace(name, std::move(product)).second, kind_, ": '", name, "' is registered twice");
    return true;
  }

  bool contains(const std::string& name) const { return entries_.count(name) > 0; }

  /// Errors (usage): unknown().
  const Product& find(const std::string& name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) fail_usage(unknown(name));
    return found->second;
  }

  /// The message about an unknown name: the nearest and all known names.
  std::string unknown(const std::string& name) const {
    return str("unknown ", kind_, " '", name, "'", did_you_mean(name, names()), "; known: ", joined(names()));
  }

  /// Sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, product] : entries_) all.push_back(name);
    return all;
  }

 private:
  std::string kind_;
  std::map<std::string, Product> entries_;
};

}  // namespace vit
