#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

/// Gives a context another tape for the lifetime of the object, also when what runs meanwhile throws.
class TapeSwap {
 public:
  TapeSwap(Context& ctx, Tape* tape) : ctx_(ctx), outer_(ctx.tape) { ctx.tape = tape; }
  ~TapeSwap() { ctx_.tape = outer_; }
  TapeSwap(const TapeSwap&) = delete;
  TapeSwap& operator=(const TapeSwap&) = delete;

 private:
  Context& ctx_;
  Tape* outer_;
};

/// What decides a pass's numbers besides its inputs.
struct PassState {
  bool training;
  uint64_t seed, random_calls;
  explicit PassState(const Context& ctx) : training(ctx.training), seed(ctx.seed), random_calls(ctx.random_calls) {}
  void give(Context& ctx) const {
    ctx.training = training;
    ctx.seed = seed;
    ctx.random_calls = random_calls;
  }
};

/// Puts a context back into the state of an earlier pass for the lifetime of the object. Nobody observes the second
/// run, and it moves no running statistics.
class Replay {
 public:
  Replay(Context& ctx, const PassState& earlier)
      : ctx_(ctx), present_(ctx), observer_(ctx.observer), update_statistics_(ctx.update_statistics) {
    earlier.give(ctx);
    ctx.observer = nullptr;
    ctx.update_statistics = false;
  }
  ~Replay() {
    present_.give(ctx_);
    ctx_.observer = observer_;
    ctx_.update_statistics = update_statistics_;
  }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

 private:
  Context& ctx_;
  PassState present_;
  Observer* observer_;
  bool update_statistics_;
};

}  // namespace

Var checkpoint(Context& ctx, const std::function<Var(Context&, const Var&)>& part, const Var& x) {
  if (!ctx.tape) return part(ctx, x);
  const PassState before(ctx);
  Tensor y;
  {
    const TapeSwap untaped(ctx, nullptr);
    y = part(ctx, Var(x.value())).value();
  }
  // Recorded even when x needs no gradient: the parameters inside the part do.
  const Var trigger = x.requires_grad() ? x : Var::leaf(x.value());
  return ctx.tape->record(std::move(y), {trigger}, [&ctx, part, x, before](Tape& tape, const Tensor& d_y) {
    Tape inner(ctx);
    const Var input = x.requires_grad() ? Var::leaf(x.value()) : Var(x.value());
    Var again;
    {
      const Replay replay(ctx, before);
      const TapeSwap taped(ctx, &inner);
      again = part(ctx, input);
    }
    if (!again.requires_grad()) return;  // nothing inside is trained
    inner.backward(again, d_y);
    if (input.requires_grad() && input.grad().defined()) tape.accumulate(x, input.grad());
  });
}

}  // namespace vit
