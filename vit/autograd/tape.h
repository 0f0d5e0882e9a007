// Tape: records ops in the order they run and replays their gradients in reverse. Recording order is a topological
// order, so backward is one loop; a record frees what it captured as soon as it has run.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/arena.h"
#include "vit/core/timer.h"

namespace vit {

struct Context;
class CostSink;

class Tape {
 public:
  /// Called with d_output (the gradient of the loss with respect to the op's output); calls accumulate() for each
  /// input that needs it. It must not change d_output, which other variables may share.
  using Backward = std::function<void(Tape& tape, const Tensor& d_output)>;

  Tape() = default;
  /// A tape whose gradients come from the context's arena and are timed and counted as the context's ops are.
  explicit Tape(const Context& ctx);

  /// Wraps an op's output. When no input needs a gradient nothing is recorded and the result is a constant.
  Var record(Tensor output, const std::vector<Var>& inputs, Backward backward);

  /// Adds `gradient` to the input's own; a constant ignores it. The gradient may be shared with other variables.
  /// Errors: shapes differ.
  void accumulate(const Var& input, Tensor gradient);

  /// Runs all records in reverse, starting from d_loss = 1 of a scalar loss; the tape is empty afterwards.
  /// Errors: the loss has more than one element, or depends on nothing that needs a gradient.
  void backward(const Var& loss);
  /// The same from a given gradient of an output of any shape.
  void backward(const Var& output, Tensor d_output);

  size_t size() const { return records_.size(); }

  /// Memory for gradients: recycled, as a forward pass's temporaries are.
  Tensor empty(const Shape& shape) { return arena_.empty(shape); }
  Tensor zeros(const Shape& shape);
  StageProfile* profile() const { return profile_; }
  /// Reports a gradient's matrix products (m x n x k multiply-adds) to the context's cost sink.
  void report_product(std::string_view op, double m, double n, double k) const;

 private:
  struct Record {
    Var output;
    Backward backward;
  };
  std::vector<Record> records_;
  Arena arena_;
  CostSink* costs_ = nullptr;
  StageProfile* profile_ = nullptr;
};

}  // namespace vit
