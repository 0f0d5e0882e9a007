// The entry point of the module vitkit_codecs, which holds all that uses OpenCV. Plain C across the boundary: the
// module is loaded at run time and must not share C++ types with the library.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

/// Changes with every change of vitkit_codecs_decode; the loader compares.
inline constexpr int kVitkitCodecsVersion = 1;

/// Where the decoder puts pixels: asked once, answers with height * width * 3 bytes or null (the decode then fails).
struct VitkitPixelSink {
  void* owner;
  uint8_t* (*allocate)(void* owner, int64_t height, int64_t width);
};

using VitkitCodecsVersionFunction = int (*)();
/// bytes -> RGB rows in the sink, orientation ignored except for TIFF, whose decoder always applies it. Returns 0, or 1
/// with a reason in `message`. Thread-safe; never throws.
using VitkitCodecsDecodeFunction = int (*)(const uint8_t* bytes, size_t size, const VitkitPixelSink* sink,
                                           char* message, size_t message_size);
}

/// The names of the two functions.
inline constexpr const char* kVitkitCodecsVersionName = "vitkit_codecs_version";
inline constexpr const char* kVitkitCodecsDecodeName = "vitkit_codecs_decode";
