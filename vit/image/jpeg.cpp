#include "vit/image/jpeg.h"

#include <jpeglib.h>

#include <csetjmp>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs FILE to be known
#include <vector>
// After jpeglib.h.
#include <jerror.h>

namespace vit::detail {

namespace {

/// More passes than any real progressive file has; a crafted one would make each of them cost a full pass.
constexpr int kMaxScans = 500;

struct JpegState {
  jpeg_decompress_struct codec;
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  bool truncated;
  bool too_many_scans;
  char message[JMSG_LENGTH_MAX];
};

JpegState& state_of(j_common_ptr codec) { return *static_cast<JpegState*>(codec->client_data); }

// libjpeg reports errors by a call that must not return. Everything between setjmp and here is C or has no destructor.
[[noreturn]] void on_error(j_common_ptr codec) {
  JpegState& state = state_of(codec);
  codec->err->format_message(codec, state.message);
  std::longjmp(state.jump, 1);
}

// Warnings (corrupt data that decoding goes on after) are ignored, as Pillow does.
void on_warning(j_common_ptr, int) {}

void init_source(j_decompress_ptr) {}

// All bytes are in memory from the start: being asked for more means that the file is cut off.
boolean on_exhausted(j_decompress_ptr codec) {
  state_of(reinterpret_cast<j_common_ptr>(codec)).truncated = true;
  ERREXIT(codec, JERR_INPUT_EOF);
  return FALSE;
}

void skip_input(j_decompress_ptr codec, long count) {
  if (count <= 0) return;
  if (static_cast<size_t>(count) > codec->src->bytes_in_buffer) {
    on_exhausted(codec);
    return;
  }
  codec->src->next_input_byte += count;
  codec->src->bytes_in_buffer -= static_cast<size_t>(count);
}

void on_progress(j_common_ptr codec) {
  if (reinterpret_cast<j_decompress_ptr>(codec)->input_scan_number <= kMaxScans) return;
  state_of(codec).too_many_scans = true;
  ERREXIT(codec, JERR_BAD_PROGRESSION);
}

void set_up(JpegState& state, std::span<const std::byte> bytes) {
  state.codec.err = jpeg_std_error(&state.errors);
  state.codec.client_data = &state;
  state.errors.error_exit = on_error;
  state.errors.emit_message = on_warning;
  jpeg_create_decompress(&state.codec);
  state.source = {};
  state.source.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
  state.source.bytes_in_buffer = bytes.size();
  state.source.init_source = init_source;
  state.source.fill_input_buffer = on_exhausted;
  state.source.skip_input_data = skip_input;
  state.source.resync_to_restart = jpeg_resync_to_restart;
  state.source.term_source = init_source;
  state.codec.src = &state.source;
  state.progress = {};
  state.progress.progress_monitor = on_progress;
  state.codec.progress = &state.progress;
}

/// Reads up to the first scan. False: state.message says why.
bool read_header(JpegState& state, std::span<const std::byte> bytes) {
  if (setjmp(state.jump)) return false;
  set_up(state, bytes);
  jpeg_read_header(&state.codec, TRUE);
  // Pillow decodes four components to CMYK whatever they are stored as, and leaves the other defaults alone (accurate
  // integer DCT, smooth chroma upsampling).
  state.codec.out_color_space = state.codec.num_components == 4 ? JCS_CMYK : JCS_RGB;
  return true;
}

/// One row of inverted CMYK, as Adobe stores it, to RGB: Pillow's "CMYK;I" followed by cmyk2rgb.
void cmyk_row_to_rgb(uint8_t* rgb, const uint8_t* cmyk, int64_t width) {
  for (int64_t x = 0; x < width; ++x, rgb += 3, cmyk += 4) {
    const int white = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - cmyk[c]) * white + 128;
      rgb[c] = static_cast<uint8_t>(white - (((product >> 8) + product) >> 8));
    }
  }
}

/// Decodes all rows. `cmyk_row` is one row of four components, or null. False: state.message says why.
bool read_rows(JpegState& state, uint8_t* pixels, int64_t row_bytes, uint8_t* cmyk_row) {
  if (setjmp(state.jump)) return false;
  jpeg_start_decompress(&state.codec);
  while (state.codec.output_scanline < state.codec.output_height) {
    uint8_t* rgb_row = pixels + row_bytes * state.codec.output_scanline;
    JSAMPROW target = cmyk_row ? cmyk_row : rgb_row;
    jpeg_read_scanlines(&state.codec, &target, 1);
    if (cmyk_row) cmyk_row_to_rgb(rgb_row, cmyk_row, state.codec.output_width);
  }
  jpeg_finish_decompress(&state.codec);  // reads on to the end-of-image marker: without it the file is cut off
  return true;
}

/// Frees libjpeg's memory on every way out.
struct Destroy {
  JpegState& state;
  ~Destroy() { jpeg_destroy_decompress(&state.codec); }
};

[[noreturn]] void report(const JpegState& state, const std::string& name) {
  if (state.truncated) fail(name, ": truncated JPEG: the data end before the picture is complete");
  if (state.too_many_scans) fail(name, ": damaged JPEG: more than ", kMaxScans, " scans");
  fail(name, ": damaged JPEG: ", state.message);
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name) {
  JpegState state{};
  const Destroy destroy{state};
  if (!read_header(state, bytes)) report(state, name);
  const int components = state.codec.num_components;
  check(components == 1 || components == 3 || components == 4, name, ": a JPEG of ", components,
        " components, expected 1 (grey), 3 (colour) or 4 (CMYK)");
  Image image(state.codec.image_height, state.codec.image_width);
  std::vector<uint8_t> cmyk_row(components == 4 ? static_cast<size_t>(image.width()) * 4 : 0);
  if (!read_rows(state, image.row(0), image.width() * 3, components == 4 ? cmyk_row.data() : nullptr))
    report(state, name);
  return image;
}

}  // namespace vit::detail
