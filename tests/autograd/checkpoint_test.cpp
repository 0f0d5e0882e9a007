// checkpoint(): the same numbers and gradients as without it, less kept, and a context that is as it was before.
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/tape.h"

namespace vit {
namespace {

using test::random_tensor;
using test::same_bits;

const PackedWeight kUnpacked;

/// Two linear maps with dropout between them: a part with parameters of its own and random numbers.
struct Part {
  Var first = Var::leaf(random_tensor({7, 5}, 1)), second = Var::leaf(random_tensor({5, 7}, 2));
  Var operator()(Context& ctx, const Var& x) const {
    Var y = linear(ctx, x, {first, kUnpacked}, {}, {.activation = Activation::gelu});
    y = dropout(ctx, y, 0.3f);
    return linear(ctx, y, {second, kUnpacked}, {}, {.residual = x});
  }
};

struct Result {
  Tensor value, d_x, d_first, d_second;
  size_t records;
};

enum class How { plain, checkpointed, nested };

Result run(How how, bool x_wanted = true) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  ctx.training = true;
  ctx.seed = 11;
  const Part part;
  const Tensor start = random_tensor({4, 5}, 3);
  const Var x = x_wanted ? Var::leaf(start) : Var(start);
  const auto inner = [&part](Context& c, const Var& v) { return checkpoint(c, part, v); };
  const auto once = [&](const Var& v) {
    if (how == How::plain) return part(ctx, v);
    return how == How::checkpointed ? checkpoint(ctx, part, v) : checkpoint(ctx, inner, v);
  };
  const Var y = dropout(ctx, once(once(x)), 0.3f);  // twice: each call draws its own numbers
  Result result{y.value().clone(), {}, {}, {}, tape.size()};
  const uint64_t calls = ctx.random_calls;
  ctx.seed = 12;  // what the context is used for meanwhile must not matter
  ctx.training = false;
  tape.backward(y, random_tensor({4, 5}, 4));
  EXPECT_EQ(ctx.random_calls, calls);
  EXPECT_EQ(ctx.seed, 12u);
  EXPECT_FALSE(ctx.training);
  EXPECT_TRUE(ctx.update_statistics);
  EXPECT_EQ(ctx.tape, &tape);
  if (x_wanted) result.d_x = x.grad();
  result.d_first = part.first.grad();
  result.d_second = part.second.grad();
  return result;
}

TEST(Checkpoint, SameBitsAsWithoutIt) {
  const Result plain = run(How::plain);
  for (const How how : {How::checkpointed, How::nested}) {
    const Result again = run(how);
    EXPECT_TRUE(same_bits(plain.value, again.value));
    EXPECT_TRUE(same_bits(plain.d_x, again.d_x));
    EXPECT_TRUE(same_bits(plain.d_first, again.d_first));
    EXPECT_TRUE(same_bits(plain.d_second, again.d_second));
    EXPECT_EQ(again.records, 3u);  // one per part, and the last dropout
    EXPECT_LT(again.records, plain.records);
  }
}

TEST(Checkpoint, ParametersHaveGradientsWhereTheInputWantsNone) {
  const Result plain = run(How::plain, false), again = run(How::checkpointed, false);
  EXPECT_TRUE(same_bits(plain.d_first, again.d_first));
  EXPECT_TRUE(same_bits(plain.d_second, again.d_second));
}

TEST(Checkpoint, AnErrorInsideLeavesTheContextAsItWas) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  ctx.training = true;
  int calls = 0;
  // Fails the first time it runs, or the second: in the backward pass.
  const auto failing_at = [&calls](int call) {
    return [&calls, call](Context& c, const Var& x) {
      c.next_random_stream();
      if (++calls == call) fail("no more");
      return scale(c, x, 2.0f);
    };
  };
  const Var x = Var::leaf(random_tensor({3}, 5));
  EXPECT_THAT(test::failure([&] { checkpoint(ctx, failing_at(1), x); }), testing::HasSubstr("no more"));
  EXPECT_EQ(ctx.tape, &tape);
  EXPECT_EQ(tape.size(), 0u);

  calls = 0;
  const Var y = checkpoint(ctx, failing_at(2), x);
  const uint64_t drawn = ctx.random_calls;
  EXPECT_THAT(test::failure([&] { tape.backward(y, random_tensor({3}, 6)); }), testing::HasSubstr("no more"));
  EXPECT_EQ(ctx.tape, &tape);
  EXPECT_EQ(ctx.random_calls, drawn);
  EXPECT_TRUE(ctx.training);
  EXPECT_TRUE(ctx.update_statistics);
}

TEST(Checkpoint, ObserversSeeThePassOnce) {
  struct Counter : Observer {
    bool wants(const std::string&) override { return true; }
    void observe(const std::string&, const Tensor&) override { ++seen; }
    int seen = 0;
  } counter;
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  ctx.observer = &counter;
  const Var x = Var::leaf(random_tensor({3}, 7));
  const Var y = checkpoint(
      ctx,
      [](Context& c, const Var& v) {
        c.observe("value", v.value());
        return scale(c, v, 2.0f);
      },
      x);
  tape.backward(y, random_tensor({3}, 8));
  EXPECT_EQ(counter.seen, 1);
  EXPECT_EQ(ctx.observer, &counter);
}

TEST(Checkpoint, WithoutATapeItIsTheCallItself) {
  Context ctx;
  const Tensor x = random_tensor({3}, 9);
  const Tensor y = checkpoint(
                       ctx, [](Context&, const Var& v) { return v; }, x)
                       .value();
  EXPECT_EQ(y.raw(), x.raw());
}

}  // namespace
}  // namespace vit
