// Update rules behind one interface: AdamW, SGD, LAMB, Lion, each as timm's create_optimizer_v2 makes it of the same
// name. The arithmetic is f32 in the order of torch's; sums over a tensor are double.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vit/core/parallel.h"
#include "vit/core/registry.h"
#include "vit/train/named_tensors.h"
#include "vit/train/param_group.h"
#include "vit/train/parameter_parts.h"

namespace vit {

/// Keeps an optimisation's state per parameter. Not thread-safe; step() works in parallel inside, and its result does
/// not depend on the number of threads.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update of every parameter that has a gradient and is not frozen. `parameters` are those of construction, in
  /// their order; `lr` is the schedule's rate, before lr_scale; gradients count times `grad_scale`
  /// (GradientReport::grad_scale). Errors: other parameters; a gradient of another shape.
  void step(const std::vector<NamedParameter>& parameters, double lr, double grad_scale = 1.0);

  /// Adds the state, under "optimizer." names: restore() of it continues bit-exactly. The tensors are shared, not
  /// copied: write them before the next step.
  void save(NamedTensors& into) const;
  /// Errors (usage): the state of other parameters or another rule.
  void restore(const NamedTensors& from);
  /// Bytes of the state.
  int64_t state_bytes() const;
  const std::vector<ParamSettings>& settings() const { return settings_; }

 protected:
  /// `state_names`: one tensor of the parameter's shape each, zeros at first; named as torch names them.
  Optimizer(const std::vector<NamedParameter>& parameters, std::vector<ParamSettings> settings,
            std::vector<std::string> state_names);

  /// A parameter in the running step.
  struct Slot {
    std::string name;
    std::vector<Tensor> state;  ///< empty when frozen
    int64_t steps = 0;          ///< taken by this parameter, the running one included
    double lr = 0.0;            ///< of the running step, lr_scale included
    bool active = false;        ///< takes part in the running step
  };
  /// Memory of a part: value, gradient, and the state tensors.
  struct Arrays {
    float* p;
    const float* g;
    float* a;  ///< first state tensor, or null
    float* b;  ///< second
    int64_t count;
  };

  /// Before the parts, on one thread.
  virtual void begin_step(const std::vector<NamedParameter>& parameters, double grad_scale) = 0;
  /// One part, on any thread; must not throw.
  virtual void update(size_t slot, int64_t part, const Arrays& arrays) = 0;
  /// After the parts; rules that need a second pass do it here, with for_parts().
  virtual void end_step() {}
  /// Calls body(slot, part, arrays) for every part of the running step, in parallel.
  template <class Body>
  void for_parts(const Body& body) {
    parallel_for(part_count(),
                 [&](int64_t part) { body(parts_[static_cast<size_t>(part)].parameter, part, arrays_of(part)); });
  }

  int64_t part_count() const { return static_cast<int64_t>(parts_.size()); }

  std::vector<Slot> slots_;
  std::vector<ParamSettings> settings_;
  std::vector<ParameterPart> parts_;  // of the running step
  int64_t steps_ = 0;                 // step() calls so far, the running one included

 private:
  Arrays arrays_of(int64_t part) const;
  void check_parameters(const std::vector<NamedParameter>& parameters) const;

  std::vector<std::string> state_names_;
  const std::vector<NamedParameter>* parameters_ = nullptr;  // of the running step
};

/// Makes a rule. `parameters` need values only.
using OptimizerFactory = std::unique_ptr<Optimizer> (*)(const OptimizerConfig& config,
                                                        const std::vector<NamedParameter>& parameters,
                                                        std::vector<ParamSettings> settings);
Registry<OptimizerFactory>& optimizer_registry();

/// The rule that config.opt names. Errors (usage): unknown, with the nearest name.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, const std::vector<NamedParameter>& parameters,
                                          std::vector<ParamSettings> settings);

/// `VITKIT_REGISTER_OPTIMIZER(name, factory)` at the end of a rule's file, once per name: all the wiring it needs.
#define VITKIT_REGISTER_OPTIMIZER_AS(line, name, factory) \
  [[maybe_unused]] const bool kOptimizerAtLine##line = ::vit::optimizer_registry().add(name, factory)
#define VITKIT_REGISTER_OPTIMIZER_AT(line, name, factory) VITKIT_REGISTER_OPTIMIZER_AS(line, name, factory)
#define VITKIT_REGISTER_OPTIMIZER(name, factory) VITKIT_REGISTER_OPTIMIZER_AT(__LINE__, name, factory)

}  // namespace vit
