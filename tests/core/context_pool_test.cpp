#include "vit/core/context_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

namespace vit {
namespace {

TEST(ContextPool, ContextsAreUsedAgainAndNeverTwiceAtOnce) {
  ContextPool pool;
  const Context* first = nullptr;
  {
    const ContextPool::Lease a = pool.take(), b = pool.take();
    EXPECT_NE(&*a, &*b);
    first = &*b;
    EXPECT_EQ(a->tape, nullptr);
  }
  const ContextPool::Lease again = pool.take(), other = pool.take();
  EXPECT_TRUE(first == &*again || first == &*other);
}

TEST(ContextPool, ManyThreads) {
  ContextPool pool;
  std::mutex mutex;
  std::set<const Context*> busy;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const ContextPool::Lease lease = pool.take();
        {
          const std::lock_guard lock(mutex);
          EXPECT_TRUE(busy.insert(&*lease).second);
        }
        const std::lock_guard lock(mutex);
        busy.erase(&*lease);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace vit
