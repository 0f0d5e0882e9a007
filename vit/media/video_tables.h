// The entry points of the modules vitkit_video (FFmpeg: files and streams) and vitkit_devices (OpenCV: cameras and
// windows). Plain C across the boundary: the modules are loaded at run time and must not share C++ types with the
// library.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

/// Changes with every change of the tables; the loader compares.
inline constexpr int kVitkitVideoVersion = 1;

/// What the functions below answer. Whatever is not 0 comes with a reason in `message`; they never throw.
enum VitkitVideoStatus {
  kVitkitVideoOk = 0,
  kVitkitVideoFailed = 1,    // another try may do better
  kVitkitVideoUnusable = 2,  // what is there is no video that can be read, or may not be read
  kVitkitVideoEnd = 3,       // nothing follows
};

struct VitkitCaptureRequest {
  const char* location;  // path, address, or a camera's number
  int is_file;
  int64_t max_pixels;
  // Asked often while the source is waited for, by the thread that waits: not 0 makes the call fail.
  int (*interrupted)(void* owner);
  void* owner;
};

struct VitkitCaptureFacts {
  int64_t height, width;  // as the header says
  double frame_rate;      // 0: unknown
  int64_t frames;         // as the header says; 0: unknown
  double duration_s;      // as the header says; 0: unknown
  int has_end;            // a film, wherever it is read from, and not a camera
};

struct VitkitFrameFacts {
  int64_t height, width;  // as stored
  int orientation;        // EXIF's, 1 to 8
  double time_s;          // since the beginning; NaN: unknown
  double duration_s;      // 0: unknown
};

/// Reading. Frames stand for themselves: they may outlive their capture, and any thread may take their pixels.
struct VitkitCaptureTable {
  int (*open)(const VitkitCaptureRequest* request, void** capture, VitkitCaptureFacts* facts, char* message,
              size_t message_size);
  int (*next)(void* capture, void** frame, VitkitFrameFacts* facts, char* message, size_t message_size);
  void (*close)(void* capture);
  // rgb [height, width, 3] as the frame's facts say.
  int (*pixels)(const void* frame, uint8_t* rgb, char* message, size_t message_size);
  void (*release)(void* frame);
};

struct VitkitEncoderRequest {
  const char* ending;     // "mp4"
  const char* codec;      // four letters; empty: what the ending is known for
  int64_t height, width;  // even
  double frame_rate;
  // Takes the file's bytes, which are not always in order. Not 0: they could not be written.
  int (*write)(void* owner, int64_t offset, const uint8_t* bytes, int64_t count);
  void* owner;
};

/// Writing: open, add frames, finish, close.
struct VitkitEncoderTable {
  int (*open)(const VitkitEncoderRequest* request, void** encoder, char* message, size_t message_size);
  // rgb: rows of `stride` bytes.
  int (*add)(void* encoder, const uint8_t* rgb, int64_t stride, char* message, size_t message_size);
  int (*finish)(void* encoder, char* message, size_t message_size);
  void (*close)(void* encoder);
};

struct VitkitVideoTable {
  VitkitCaptureTable capture;
  VitkitEncoderTable encoder;
};

/// A window; one thread calls all of it.
struct VitkitWindowTable {
  int (*open)(const char* title, char* message, size_t message_size);
  // Not 0 in `closed`: the user has closed the window, or pressed q or Escape.
  int (*show)(const char* title, const uint8_t* rgb, int64_t height, int64_t width, int* closed, char* message,
              size_t message_size);
  void (*close)(const char* title);
};

struct VitkitDevicesTable {
  VitkitCaptureTable camera;
  VitkitWindowTable window;
};
}

/// The names of the functions that the modules export: int (*)() and const Vitkit...Table* (*)().
inline constexpr const char* kVitkitVideoVersionName = "vitkit_video_version";
inline constexpr const char* kVitkitVideoTableName = "vitkit_video_table";
inline constexpr const char* kVitkitDevicesVersionName = "vitkit_devices_version";
inline constexpr const char* kVitkitDevicesTableName = "vitkit_devices_table";
