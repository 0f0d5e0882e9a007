// Var: a tensor in a computation, with the place where its gradient is collected. Without a tape a Var is just its
// value; every Tensor converts to a Var that needs no gradient.
#pragma once

#include <memory>
#include <utility>

#include "vit/core/tensor.h"

namespace vit {

class Var {
 public:
  Var() = default;
  Var(Tensor value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor): a Tensor is a constant Var

  /// A variable whose gradient is wanted: a parameter in training, or an input to be explained.
  static Var leaf(Tensor value) {
    Var var(std::move(value));
    var.slot_ = std::make_shared<Tensor>();
    return var;
  }

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int64_t size(int axis) const { return value_.size(axis); }
  bool defined() const { return value_.defined(); }

  bool requires_grad() const { return slot_ != nullptr; }
  /// Gradient collected by Tape::backward; undefined before it, or where no path led to the loss.
  /// Errors: requires_grad() is false.
  const Tensor& grad() const {
    check(requires_grad(), "var: no gradient is collected for a constant");
    return *slot_;
  }
  /// Forgets the collected gradient. Errors: requires_grad() is false.
  void clear_grad() const {
    check(requires_grad(), "var: no gradient is collected for a constant");
    *slot_ = {};
  }
  /// Whether both are the same variable: their gradients are collected in one place.
  bool same(const Var& other) const { return slot_ && slot_ == other.slot_; }

 private:
  friend class Tape;
  Tensor value_;
  std::shared_ptr<Tensor> slot_;
};

}  // namespace vit
