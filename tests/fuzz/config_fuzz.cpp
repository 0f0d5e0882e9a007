// libFuzzer target: any bytes as a YAML configuration and as JSON must be read or refused, never crash; what was read
// as YAML must survive being written and read again. Built as safetensors_fuzz is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "vit/core/check.h"
#include "vit/core/config_node.h"
#include "vit/io/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    vit::parse_json(text, "fuzzed", {.unique_keys = true});
  } catch (const vit::Error&) {
  }
  try {
    const vit::ConfigNode node = vit::ConfigNode::parse(text, "fuzzed");
    if (!(vit::ConfigNode::parse(node.to_yaml(), "again") == node)) std::abort();
  } catch (const vit::Error&) {
  }
  return 0;
}
