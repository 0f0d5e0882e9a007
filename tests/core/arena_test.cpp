#include "vit/core/arena.h"

#include <gtest/gtest.h>

#include <set>

namespace vit {
namespace {

TEST(Arena, ReusesMemoryAfterRelease) {
  Arena arena;
  Tensor first = arena.empty({1000});
  const void* memory = first.raw();
  first = {};
  EXPECT_EQ(arena.empty({1000}).raw(), memory);
}

TEST(Arena, NeverHandsOutMemoryInUse) {
  Arena arena;
  std::vector<Tensor> held;
  std::set<void*> seen;
  for (int i = 0; i < 20; ++i) {
    held.push_back(arena.empty({512}));
    EXPECT_TRUE(seen.insert(held.back().raw()).second);
  }
}

TEST(Arena, ASteadyPatternStopsAllocating) {
  Arena arena;
  const auto pass = [&] {
    Tensor x = arena.empty({100, 64});
    for (int i = 0; i < 5; ++i) {
      const Tensor qkv = arena.empty({100, 192}), hidden = arena.empty({100, 256});
      x = arena.empty({100, 64});
    }
  };
  pass();
  const int64_t held = arena.bytes_held();
  for (int i = 0; i < 50; ++i) pass();
  EXPECT_EQ(arena.bytes_held(), held);
}

TEST(Arena, SmallTensorsDoNotPinLargeBlocks) {
  Arena arena;
  { const Tensor large = arena.empty({1 << 20}); }
  const Tensor small = arena.empty({16});
  const int64_t held = arena.bytes_held();
  const Tensor large = arena.empty({1 << 20});
  EXPECT_EQ(arena.bytes_held(), held) << "the large block was still free";
}

TEST(Arena, GivesBackWhatNobodyWantsForLong) {
  Arena arena;
  { const Tensor large = arena.empty({1 << 20}); }
  for (int i = 0; i < 5000; ++i) {
    const Tensor a = arena.empty({64}), b = arena.empty({64 + 4096 * (i % 7)});
  }
  const Tensor fresh = arena.empty({1 << 14, 3});
  EXPECT_LT(arena.bytes_held(), 4 << 20);
}

TEST(Arena, TensorsOutliveTheArena) {
  Tensor tensor;
  {
    Arena arena;
    tensor = arena.empty({8});
    tensor.f32()[7] = 3.0f;
  }
  EXPECT_EQ(tensor.f32()[7], 3.0f);
}

}  // namespace
}  // namespace vit
