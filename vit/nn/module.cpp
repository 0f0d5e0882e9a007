#include "vit/nn/module.h"

namespace vit {

std::string dotted(const std::string& path, const std::string& name) {
  if (path.empty() || name.empty()) return path + name;
  return path + "." + name;
}

void Module::walk(const std::string& name, const std::function<void(const std::string&, Module&)>& visit) {
  visit(name, *this);
  for (const auto& [child_name, child] : children_) child->walk(dotted(name, child_name), visit);
}

void Module::visit_modules(const std::function<void(const std::string&, Module&)>& visit) { walk("", visit); }

void Module::visit_parameters(const std::function<void(const std::string&, Parameter&)>& visit) {
  visit_modules([&](const std::string& path, Module& module) {
    for (const auto& [name, parameter] : module.parameters_) visit(dotted(path, name), *parameter);
  });
}

int64_t Module::parameter_count() {
  int64_t count = 0;
  visit_parameters([&](const std::string&, Parameter& parameter) {
    if (!parameter.buffer) count += parameter.shape.numel();
  });
  return count;
}

void Module::add_parameter(std::string name, Parameter& parameter, const Shape& shape, Init init) {
  parameter.shape = shape;
  parameter.init = init;
  parameters_.emplace_back(std::move(name), &parameter);
}

}  // namespace vit
