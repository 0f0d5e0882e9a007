#include "vit/autograd/observed.h"

#include <string>
#include <utility>

#include "vit/autograd/op_support.h"
#include "vit/autograd/probs_listener.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

std::string full_name(const Context& ctx, std::string_view name) {
  const std::string scope = ctx.scope();
  if (scope.empty() || name.empty()) return scope + std::string(name);
  return scope + "." + std::string(name);
}

/// x itself, whose gradient `receive` is shown on the way back.
Var with_gradient_shown(Context& ctx, const Var& x, Tape::Backward receive) {
  return ctx.tape->record(x.value(), {x}, [x, receive = std::move(receive)](Tape& tape, const Tensor& d_x) {
    receive(tape, d_x);
    tape.accumulate(x, d_x);
  });
}

/// d_mixed v^T of one part: [B, H, Nq, Nk].
Tensor gradient_of_probs(const Tensor& d_mixed, int64_t first, const MixedValues& part) {
  Context plain;
  return attention_scores(plain, {d_mixed, first}, part.v,
                          {.heads = part.heads, .head_dim = part.head_dim, .scale = 1.0f});
}

/// The probabilities as a variable, for who takes part.
void tell_listener(Context& ctx, const HeadColumns& q, const HeadColumns& k, const AttentionOptions& options) {
  auto* const listener = dynamic_cast<ProbsListener*>(ctx.observer);
  if (!listener || !ctx.tape) return;
  const std::string module = ctx.scope();
  if (!listener->listens(module)) return;
  const Var queries = split_heads(ctx, q, options.heads, options.head_dim);
  const Var keys = split_heads(ctx, k, options.heads, options.head_dim);
  Var scores = matmul(ctx, queries, keys, {.transpose_b = true, .scale = options.scale});
  if (options.bias.defined()) scores = add(ctx, scores, options.bias);
  listener->listen(module, softmax(ctx, scores));
}

}  // namespace

Var observed(Context& ctx, std::string_view name, const Var& x) {
  if (!ctx.observer) return x;
  ctx.observe(name, x.value());
  // It is asked in every pass: who only listens to the questions learns what there is.
  const std::string gradient = full_name(ctx, name) + ".grad";
  if (!ctx.observer->wants(gradient) || !ctx.tape) return x;
  const Var start = x.requires_grad() ? x : Var::leaf(x.value());
  return with_gradient_shown(
      ctx, start, [gradient, observer = ctx.observer](Tape&, const Tensor& d_x) { observer->observe(gradient, d_x); });
}

Var with_probs_gradient(Context& ctx, const Var& mixed, const std::vector<MixedValues>& values) {
  if (!ctx.wants("probs.grad") || !ctx.tape) return mixed;
  const Var start = mixed.requires_grad() ? mixed : Var::leaf(mixed.value());
  return with_gradient_shown(
      ctx, start, [name = full_name(ctx, "probs.grad"), observer = ctx.observer, values](Tape&, const Tensor& d_mixed) {
        std::vector<Var> parts;
        int64_t first = 0;
        for (const MixedValues& part : values) {
          parts.emplace_back(gradient_of_probs(d_mixed, first, part));
          first += part.heads * part.head_dim;
        }
        Context plain;
        observer->observe(name, parts.size() == 1 ? parts[0].value() : concat(plain, parts, 1).value());
      });
}

Var observed_attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                       const AttentionOptions& options) {
  if (ctx.observer) tell_listener(ctx, q, k, options);
  if (ctx.wants("probs")) ctx.observe("probs", attention_probs(ctx, q, k, options));
  if (ctx.wants("scores")) ctx.observe("scores", attention_scores(ctx, q, k, options));
  const Var mixed = attention(ctx, q, k, v, options);
  return ctx.observer ? with_probs_gradient(ctx, mixed, {{v, options.heads, options.head_dim}}) : mixed;
}

}  // namespace vit
