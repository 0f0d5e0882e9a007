// A mechanism of the attention registry with random parameters and random tokens, for tests against its plain
// definition in double.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/gradient_check.h"
#include "vit/nn/attention.h"

namespace vit::test {

class MechanismCheck : public Module {
 public:
  /// `options` is the mechanism's YAML node, "{type: rope, temperature: 100}". The input has shape.grid and
  /// shape.prefix_tokens; without a grid, `tokens` tokens; with a memory_dim, a memory of two maps.
  MechanismCheck(const std::string& options, const AttentionShape& shape, int64_t batch = 2, int64_t tokens = 0);

  const AttentionInput& input() const { return input_; }
  AttentionInput& input() { return input_; }
  const Tensor& x() const { return x_.value.value(); }
  Plain plain_x() const { return wide(x()); }
  Attention& mechanism() { return *attention_; }

  /// A parameter in double.
  Plain parameter(const std::string& name);
  bool has_parameter(const std::string& name);
  /// Gives a parameter other values. Errors: the shape does not fit.
  void set_parameter(const std::string& name, const Tensor& value);
  /// x [B, N, C] through one of the mechanism's linear layers, in double.
  Plain linear(const Plain& x, const std::string& layer);

  Var forward(Context& ctx) const { return attention_->forward(ctx, x_.value, input_); }
  /// The result of inference.
  Tensor run() const;
  /// What the mechanism offers to observers under this name; undefined: nothing.
  Tensor observed(const std::string& name) const;

  /// Holds the gradient of every parameter and of the tokens to the slopes along them.
  void expect_slopes();
  /// Holds inference with packed weights to inference without. Ends the use of parameter().
  void expect_prepared_equals_plain();

 private:
  Parameter x_, memory_;
  AttentionInput input_;
  std::unique_ptr<Attention> attention_;
  std::vector<double> steps_;  // of differences: shorter ones, too, where the mechanism has corners
};

/// Both numbers equal up to the rounding of some hundred operations.
void expect_near(const Tensor& got, const Plain& want, const std::string& what = "value");
void expect_near(const Tensor& got, const Tensor& want, const std::string& what = "value");

/// Gives `to` the parameters of `from` that it has by the same name.
void copy_parameters(MechanismCheck& from, MechanismCheck& to);

}  // namespace vit::test
