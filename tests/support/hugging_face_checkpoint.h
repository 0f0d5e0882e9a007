// A checkpoint in Hugging Face's form with random weights, of any family that the toolkit reads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace vit::test {

/// Writes config.json and model.safetensors, under the names and in the orientation that the family's key map says.
/// `spread`: of the weights of rank 2 and more; norms get weights near one.
void write_hugging_face_checkpoint(const std::filesystem::path& dir, const nlohmann::json& config, uint64_t seed,
                                   float spread = 0.2f);

}  // namespace vit::test
