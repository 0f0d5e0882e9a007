#include "vit/core/context.h"

namespace vit {

std::string Context::scope() const {
  std::string path;
  for (const Scope* scope = innermost_; scope; scope = scope->outer_) {
    std::string part(scope->name_);
    if (scope->index_ >= 0) part += "." + std::to_string(scope->index_);
    path = path.empty() ? part : part + "." + path;
  }
  return path;
}

std::string Context::scoped(std::string_view name) const {
  const std::string path = scope();
  if (path.empty() || name.empty()) return path + std::string(name);
  return path + "." + std::string(name);
}

void Context::observe(std::string_view name, const Tensor& value) const {
  if (!observer) return;
  const std::string full = scoped(name);
  if (observer->wants(full)) observer->observe(full, value);
}

}  // namespace vit
