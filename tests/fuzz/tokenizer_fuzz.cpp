// libFuzzer target: any bytes as the files of a tokenizer must be read or refused, never crash; a tokenizer that was
// taken must encode and decode any text, and be the same after saving. Built as safetensors_fuzz is; begin with the
// inputs of tests/fuzz/tokenizer_corpus.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/tokenizer_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string folder = "/dev/shm/vitkit_fuzz_" + std::to_string(getpid());
  captioning::fuzz::try_input(std::string(reinterpret_cast<const char*>(data), size), folder);
  return 0;
}
