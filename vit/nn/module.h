// Module: a node of the model tree. It registers its parameters and children once, by timm's names; loading, saving,
// initialising, optimising and printing all visit that one list.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/context.h"

namespace vit {

/// How a parameter starts when no checkpoint gives it.
struct Init {
  enum class Kind { zeros, constant, truncated_normal, normal, uniform };
  Kind kind = Kind::zeros;
  float value = 0.0f;  ///< the constant, the standard deviation, or the bound: uniform in [-value, value)

  static Init zeros() { return {}; }
  static Init ones() { return {Kind::constant, 1.0f}; }
  static Init constant(float value) { return {Kind::constant, value}; }
  static Init truncated_normal(float std) { return {Kind::truncated_normal, std}; }
  static Init normal(float std) { return {Kind::normal, std}; }
  static Init uniform(float bound) { return {Kind::uniform, bound}; }
};

/// A named tensor of a model: its shape is fixed by the configuration, its value comes from a checkpoint or from
/// `init`.
struct Parameter {
  Shape shape;
  Init init;
  Var value;            ///< undefined until loaded; dropped again where prepare() keeps a packed form instead
  bool buffer = false;  ///< state that is saved but not optimised (running statistics)
};

/// "blocks.3" and "norm1" -> "blocks.3.norm1"; an empty one leaves the other.
std::string dotted(const std::string& path, const std::string& name);

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;  // children are registered by address
  Module& operator=(const Module&) = delete;

  /// Visits every parameter below this module, depth first, in registration order, with its full dotted name.
  void visit_parameters(const std::function<void(const std::string& name, Parameter&)>& visit);
  /// Visits this module and all below it, depth first, with full dotted names ("" for this one).
  void visit_modules(const std::function<void(const std::string& name, Module&)>& visit);
  /// Parameters of this module itself, not of its children.
  const std::vector<std::pair<std::string, Parameter*>>& own_parameters() const { return parameters_; }

  /// Called once on every module when its parameters are loaded and only inference follows: packs weights into the
  /// form that kernels read and drops the plain ones.
  virtual void prepare() {}

  /// Number of elements of all parameters that are not buffers.
  int64_t parameter_count();

 protected:
  void add_parameter(std::string name, Parameter& parameter, const Shape& shape, Init init);
  /// An empty name puts the child's parameters under this module's own name.
  void add_module(std::string name, Module& child) { children_.emplace_back(std::move(name), &child); }
  void clear_modules() { children_.clear(); }

 private:
  void walk(const std::string& name, const std::function<void(const std::string&, Module&)>& visit);
  std::vector<std::pair<std::string, Parameter*>> parameters_;
  std::vector<std::pair<std::string, Module*>> children_;
};

}  // namespace vit
