// Tape: records ops in the order they run and replays their gradients in reverse. Recording order is a topological
// order, so backward is one loop; a record frees what it captured as soon as it has run.
#pragma once

#include <functional>
#include <vector>

#include "vit/autograd/var.h"

namespace vit {

class Tape {
 public:
  /// Called with d_output (the gradient of the loss with respect to the op's output); calls accumulate() for each
  /// input.
  using Backward = std::function<void(Tape& tape, const Tensor& d_output)>;

  /// Wraps an op's output. When no input needs a gradient nothing is recorded and the result is a constant.
  Var record(Tensor output, const std::vector<Var>& inputs, Backward backward);

  /// Adds `gradient` to the input's own; a constant ignores it. Errors: shapes differ.
  void accumulate(const Var& input, const Tensor& gradient);

  /// Runs all records in reverse, starting from d_loss = 1 of a scalar loss; the tape is empty afterwards.
  /// Errors: the loss has more than one element, or depends on nothing that needs a gradient.
  void backward(const Var& loss);

  size_t size() const { return records_.size(); }

 private:
  struct Record {
    Var output;
    Backward backward;
  };
  std::vector<Record> records_;
};

}  // namespace vit
