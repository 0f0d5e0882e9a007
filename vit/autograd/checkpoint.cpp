#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

Var checkpoint(Context& ctx, const std::function<Var(Context&, const Var&)>& part, const Var& x) {
  if (!ctx.tape) return part(ctx, x);
  Tape* const outer = ctx.tape;
  const uint64_t calls_before = ctx.random_calls;
  ctx.tape = nullptr;
  Tensor y = part(ctx, Var(x.value())).value();
  ctx.tape = outer;
  // Recorded even when x needs no gradient: the parameters inside the part do.
  const Var trigger = x.requires_grad() ? x : Var::leaf(x.value());
  return outer->record(std::move(y), {trigger}, [&ctx, part, x, calls_before](Tape& tape, const Tensor& d_y) {
    Tape inner(ctx);
    const Var input = Var::leaf(x.value());
    const uint64_t calls_after = ctx.random_calls;
    Tape* const running = ctx.tape;
    ctx.tape = &inner;
    ctx.random_calls = calls_before;
    const Var again = part(ctx, input);
    ctx.tape = running;
    ctx.random_calls = calls_after;
    inner.backward(again, d_y);
    if (input.grad().defined()) tape.accumulate(x, input.grad());
  });
}

}  // namespace vit
