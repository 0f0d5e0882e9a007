#include "vit/core/arena.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace vit {

namespace {

struct Block {
  std::shared_ptr<std::byte> memory;
  int64_t bytes = 0;
  int64_t released_at = 0;  // in requests
};

// A waiting block may be at most this much larger than the request, or small tensors would pin large blocks.
constexpr int64_t kMaxWaste = 2;
constexpr int64_t kGranule = 4096;
// A block that so many requests did not want (several passes of a deep model) is given back to the system.
constexpr int64_t kPatience = 2048;

}  // namespace

struct Arena::Pool {
  std::mutex mutex;
  std::vector<Block> waiting;
  int64_t bytes_held = 0;
  int64_t requests = 0;

  Block take(int64_t bytes) {
    const std::lock_guard lock(mutex);
    ++requests;
    auto best = waiting.end();
    for (auto it = waiting.begin(); it != waiting.end(); ++it) {
      const bool fits = it->bytes >= bytes && it->bytes <= kMaxWaste * bytes;
      if (fits && (best == waiting.end() || it->bytes < best->bytes)) best = it;
    }
    if (best != waiting.end()) {
      Block block = std::move(*best);
      waiting.erase(best);
      return block;
    }
    std::erase_if(waiting, [&](const Block& block) {
      const bool stale = requests - block.released_at > kPatience;
      bytes_held -= stale ? block.bytes : 0;
      return stale;
    });
    Block fresh{allocate_aligned(bytes), bytes};
    bytes_held += bytes;
    return fresh;
  }

  void give_back(Block block) {
    const std::lock_guard lock(mutex);
    block.released_at = requests;
    waiting.push_back(std::move(block));
  }
};

Arena::Arena() : pool_(std::make_shared<Pool>()) {}

Tensor Arena::empty(const Shape& shape, DType dtype) {
  const int64_t bytes = std::max<int64_t>(1, shape.numel() * size_of(dtype));
  Block block = pool_->take((bytes + kGranule - 1) / kGranule * kGranule);
  void* data = block.memory.get();
  auto shared = std::make_shared<Block>(std::move(block));
  std::shared_ptr<const void> owner(data, [pool = pool_, shared](const void*) { pool->give_back(std::move(*shared)); });
  return Tensor::wrap(data, shape, dtype, std::move(owner));
}

int64_t Arena::bytes_held() const {
  const std::lock_guard lock(pool_->mutex);
  return pool_->bytes_held;
}

}  // namespace vit
