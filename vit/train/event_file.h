// TensorBoard event files: `tensorboard --logdir RUN` shows a run's scalars while it trains. Format: TFRecords (length,
// masked CRC of the length, data, masked CRC of the data; tensorflow/core/lib/io/record_writer.h) of Event messages.
// Events carry the time of day, so these files are the only ones of a run that differ between two runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vit/train/append_file.h"

namespace vit {

/// A tag ("loss/train", "attention/blocks.3/entropy") and its value.
using Scalar = std::pair<std::string, double>;

/// Not thread-safe.
class EventFile {
 public:
  /// Creates events.out.tfevents.TIME.vitkit.PID in `folder`. `first_step` is where the run begins or goes on:
  /// TensorBoard drops what older files of the folder hold from there on. Errors: as AppendFile.
  EventFile(const std::filesystem::path& folder, int64_t first_step);

  /// Writes values of one step. Errors: as AppendFile.
  void add(int64_t step, const std::vector<Scalar>& scalars);
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  AppendFile file_;
};

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), and its masking for records that may hold CRCs themselves.
uint32_t crc32c(std::string_view bytes);
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace vit
