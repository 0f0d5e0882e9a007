// Data sets that lie beside the project, in ../shared/data, unpacked for one test; tests skip where they are not there.
#pragma once

#include <filesystem>
#include <string>

#include "datasets/data_file.h"
#include "datasets/tar.h"
#include "tests/support/temp_dir.h"

namespace datasets::test {

class SharedSet {
 public:
  explicit SharedSet(const std::string& archive) {
    const std::filesystem::path tar =
        std::filesystem::path(VITKIT_SOURCE_DIR).parent_path() / "shared" / "data" / archive;
    if (!std::filesystem::exists(tar)) return;
    const DataFile file = DataFile::open(tar.string());
    for (const TarMember& member : list_tar(file)) {
      dir_.write(member.name, file.read(member.offset, member.size));
      if (path_.empty()) path_ = (dir_ / member.name.substr(0, member.name.find('/'))).string();
    }
  }
  bool is_there() const { return !path_.empty(); }
  /// The folder that the archive has at its top.
  const std::string& path() const { return path_; }

 private:
  vit::test::TempDir dir_;
  std::string path_;
};

}  // namespace datasets::test
