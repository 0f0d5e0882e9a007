// Tar archives, listed: where each regular file's bytes are, so that they can be read in any order. An own reader
// because libarchive brings nine libraries (ICU among them) into every start of the command.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/data_file.h"

namespace datasets {

struct TarMember {
  std::string name;
  int64_t offset = 0;  ///< of its bytes in the archive
  int64_t size = 0;
};

struct TarLimits {
  int64_t max_members = 50'000'000;
  int64_t max_name_bytes = 4096;  ///< of a member's name
};

/// The regular files of an archive in their order: ustar, with GNU's long names and pax's `path` and `size`
/// (POSIX.1-2001, "pax Interchange Format"). Folders, links and devices are passed over. Nothing is unpacked, so no
/// name is dangerous. Errors (usage), with the byte: a damaged header, a member that ends behind the file, a sparse
/// file, a limit exceeded.
std::vector<TarMember> list_tar(const DataFile& file, const TarLimits& limits = {});

}  // namespace datasets
