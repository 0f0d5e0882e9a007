// What memory the process may still take.
#pragma once

#include <cstdint>

namespace vit {

/// Bytes that can be allocated without swapping: the smaller of the system's MemAvailable and what the process's
/// control group has left. 0 where neither is known.
int64_t available_memory();

}  // namespace vit
