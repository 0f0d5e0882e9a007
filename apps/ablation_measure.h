// How fast the trained models of an ablation are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "apps/ablation_results.h"

namespace apps {

struct SpeedTrial {
  std::filesystem::path checkpoint;
  VariantResult* result = nullptr;  ///< gets params, gflop, images_per_s and memory_mb
};

/// Times inference of whole batches of random pictures: in every round each model in turn, in alternating order, so
/// that clocks and neighbours hit all alike; the median of the rounds counts. `progress` is called after each
/// measurement (rounds times trials). Errors: as load_model.
void measure_speeds(const std::vector<SpeedTrial>& trials, int64_t batch_size, int64_t rounds,
                    const std::function<void()>& progress);

}  // namespace apps
