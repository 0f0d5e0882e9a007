// The entry point of the module vitkit_codecs, which holds all that uses OpenCV. Plain C across the boundary: the
// module is loaded at run time and must not share C++ types with the library.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

/// Changes with every change of VitkitCodecs; the loader compares.
inline constexpr int kVitkitCodecsVersion = 2;

/// Where the decoder puts pixels: asked once, answers with height * width * 3 bytes or null (the decode then fails).
struct VitkitPixelSink {
  void* owner;
  uint8_t* (*allocate)(void* owner, int64_t height, int64_t width);
};

/// Where the encoder puts a file: asked once, answers with `size` bytes or null (the encode then fails).
struct VitkitByteSink {
  void* owner;
  uint8_t* (*allocate)(void* owner, size_t size);
};

/// A picture to encode: RGB, rows without gaps.
struct VitkitPicture {
  const uint8_t* rgb;
  int64_t height, width;
};

enum VitkitFileFormat { kVitkitPng = 0, kVitkitJpeg = 1 };

/// Letters of Hershey's simplex font. `text` is ASCII.
struct VitkitText {
  const char* text;
  double height;  // of a capital letter, in pixels
  int thickness;  // of its strokes, in pixels
};

struct VitkitTextExtent {
  int32_t width, ascent, descent;  // pixels; ascent above the baseline, descent below it
};

/// A function returns 0, or 1 with a reason in `message`. Thread-safe; never throws.
struct VitkitCodecs {
  /// bytes -> RGB rows in the sink, orientation ignored except for TIFF, whose decoder always applies it.
  int (*decode)(const uint8_t* bytes, size_t size, const VitkitPixelSink* sink, char* message, size_t message_size);
  /// A whole file in the sink. `quality` 1 to 100 is JPEG's; PNG ignores it.
  int (*encode)(const VitkitPicture* picture, VitkitFileFormat format, int quality, const VitkitByteSink* sink,
                char* message, size_t message_size);
  int (*measure_text)(const VitkitText* text, VitkitTextExtent* extent, char* message, size_t message_size);
  /// Writes coverage, 0 to 255, to mask [height, width], which is cleared before; the baseline starts at (x, y).
  int (*draw_text)(const VitkitText* text, int32_t x, int32_t y, uint8_t* mask, int32_t height, int32_t width,
                   char* message, size_t message_size);
};
}

/// The names of the two functions that the module exports: int (*)() and const VitkitCodecs* (*)().
inline constexpr const char* kVitkitCodecsVersionName = "vitkit_codecs_version";
inline constexpr const char* kVitkitCodecsTableName = "vitkit_codecs_table";
