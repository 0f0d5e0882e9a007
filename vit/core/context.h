// Context: everything a forward pass needs besides its inputs: memory for temporaries, the tape (when gradients are
// wanted), the training flag, and the optional observers (intermediate values, time and work per stage).
// One thread uses one Context; a model is shared by any number of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vit/core/arena.h"
#include "vit/core/tensor.h"
#include "vit/core/timer.h"

namespace vit {

class Tape;

/// Receives intermediate tensors by name ("blocks.0", "blocks.0.attn.probs", "features"). Only what is asked for is
/// computed beside the fused kernels and kept.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual bool wants(const std::string& name) = 0;
  virtual void observe(const std::string& name, const Tensor& value) = 0;
};

/// Receives the work of every op under the module path it ran in.
class CostSink {
 public:
  virtual ~CostSink() = default;
  /// `flops` counts two operations per multiply-add of matrix products; `bytes` is what the op must at least move.
  virtual void add_cost(const std::string& scope, std::string_view op, double flops, double bytes) = 0;
};

struct Context {
  Arena arena;
  Tape* tape = nullptr;             ///< records for backward when set
  bool training = false;            ///< dropout, drop path and batch statistics are on
  bool update_statistics = true;    ///< training moves running statistics; off where a pass is tried or run again
  uint64_t seed = 0;                ///< of dropout and drop path; a trainer sets one per step
  uint64_t random_calls = 0;        ///< streams given out under this seed
  Observer* observer = nullptr;     ///< sees intermediates when set
  CostSink* costs = nullptr;        ///< counts work when set
  StageProfile* profile = nullptr;  ///< times stages when set

  /// The stream of the next op that draws random numbers: they depend on the seed and the order of ops alone.
  uint64_t next_random_stream() { return random_calls++; }

  /// Module path of the running forward, for observers: "blocks.3.attn". Empty at the top.
  std::string scope() const;
  /// True when an observer wants `name` in the current scope (an empty name means the scope itself).
  bool wants(std::string_view name) const { return observer && observer->wants(scoped(name)); }
  /// Hands a value to the observer, if it wants it.
  void observe(std::string_view name, const Tensor& value) const;

 private:
  friend class Scope;
  std::string scoped(std::string_view name) const;
  const class Scope* innermost_ = nullptr;
};

/// Enters a module's name for the lifetime of the object: `Scope scope(ctx, "blocks", i);`. Costs two stores; the path
/// is only spelled out when somebody observes.
class Scope {
 public:
  Scope(Context& ctx, std::string_view name, int64_t index = -1)
      : ctx_(ctx), outer_(ctx.innermost_), name_(name), index_(index) {
    ctx.innermost_ = this;
  }
  ~Scope() { ctx_.innermost_ = outer_; }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  friend struct Context;
  Context& ctx_;
  const Scope* outer_;
  std::string_view name_;
  int64_t index_;
};

}  // namespace vit
