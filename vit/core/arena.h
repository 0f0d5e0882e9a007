// Arena: recycles the temporaries of a forward pass. A tensor taken from it returns its memory when the last reference
// goes; the next request of a similar size takes that memory again. After the first image no call allocates, and a
// tensor that outlives the pass simply keeps its memory: nothing can dangle.
#pragma once

#include <cstdint>
#include <memory>

#include "vit/core/tensor.h"

namespace vit {

/// Not thread-safe in empty(); tensors may be released from any thread. One Context, one arena.
class Arena {
 public:
  Arena();
  /// Uninitialised tensor; its memory is reused after release.
  Tensor empty(const Shape& shape, DType dtype = DType::f32);
  /// Bytes held, in use or waiting.
  int64_t bytes_held() const;

 private:
  struct Pool;
  std::shared_ptr<Pool> pool_;
};

}  // namespace vit
