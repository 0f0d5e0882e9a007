// libFuzzer target: any bytes as a safetensors file must be read or refused, never crash. Clang only:
//   cmake --preset asan -DCMAKE_CXX_COMPILER=clang++ -DVITKIT_BUILD_FUZZERS=ON, then run safetensors_fuzz CORPUS
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>

#include "vit/core/check.h"
#include "vit/io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string path = "/dev/shm/vitkit_fuzz_" + std::to_string(getpid());
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const vit::SafetensorsFile file = vit::SafetensorsFile::open(path);
    for (const vit::TensorInfo& info : file.tensors()) vit::to_f32(file.view(info.name));
  } catch (const vit::Error&) {
  }
  unlink(path.c_str());
  return 0;
}
