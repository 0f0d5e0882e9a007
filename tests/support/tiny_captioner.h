// Checkpoints of captioners small enough to be written by every test that needs one. They have learnt nothing: what
// they say is always the same for the same picture, and that is enough for who tests what becomes of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vit::test {

struct TinyCaptionerOptions {
  std::string type = "transformer_captioner";        ///< or "show_attend_tell"
  nlohmann::json generation = {{"max_length", 12}};  ///< generation_config.json; null: none
  double crop_pct = 1.0;
  uint64_t seed = 1;  ///< of the weights
};

/// For pictures of 32 x 32, with 4 x 4 regions and a vocabulary of bytes and a few words.
void write_tiny_captioner(const std::filesystem::path& dir, const TinyCaptionerOptions& options = {});

}  // namespace vit::test
