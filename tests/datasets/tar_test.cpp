#include "datasets/tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/errors.h"
#include "tests/support/tar_write.h"
#include "tests/support/temp_dir.h"
#include "vit/core/rng.h"

namespace datasets {
namespace {

using testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

std::vector<TarMember> list(const TempDir& dir, const std::string& bytes) {
  return list_tar(DataFile::open(dir.write("a.tar", bytes).string()));
}

/// "name=content" of every member.
std::vector<std::string> contents(const std::string& path) {
  const DataFile file = DataFile::open(path);
  std::vector<std::string> all;
  for (const TarMember& member : list_tar(file))
    all.push_back(member.name + "=" + file.read(member.offset, member.size));
  return all;
}

TEST(Tar, ListsRegularFilesInOrder) {
  using namespace vit::test;
  const TempDir dir;
  const std::string path =
      dir.write("a.tar", tar_header("dir/", 0, '5') + tar_member("dir/b", std::string(512, 'x')) +
                             tar_header("link", 0, '2') + tar_member("a", "1") + tar_member("empty", "") +
                             std::string(1024, '\0') + "what follows the end is of no interest")
          .string();
  EXPECT_THAT(contents(path), testing::ElementsAre("dir/b=" + std::string(512, 'x'), "a=1", "empty="));
}

TEST(Tar, KnowsLongNames) {
  using namespace vit::test;
  const TempDir dir;
  const std::string name(150, 'n');
  const std::string gnu = tar_member("././@LongLink", name + '\0', 'L') + tar_member("short", "gnu");
  const std::string pax = tar_member("PaxHeaders/x", pax_record("mtime", "1.5") + pax_record("path", name), 'x') +
                          tar_member("short", "pax");
  const std::string global = tar_member("pax_global_header", pax_record("comment", "abc"), 'g');
  const std::string path = dir.write("a.tar", gnu + pax + global + tar_member("plain", "p")).string();
  EXPECT_THAT(contents(path), testing::ElementsAre(name + "=gnu", name + "=pax", "plain=p"))
      << "an extension counts for the next member only, and an archive may end without its two blocks";
}

TEST(Tar, ReadsWhatTarWrites) {
  if (std::system("tar --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no tar command";
  const TempDir dir;
  const std::string deep = std::string(90, 'd') + "/" + std::string(120, 'e') + ".txt";
  dir.write("in/" + deep, "deep");
  dir.write("in/b.txt", "bb");
  for (const char* format : {"gnu", "pax", "ustar"}) {
    const std::string archive = (dir / (std::string(format) + ".tar")).string();
    const std::string command = "tar -C " + (dir / "in").string() + " --format=" + format + " -cf " + archive +
                                " b.txt $(cd " + (dir / "in").string() + " && echo */*) 2>/dev/null";
    if (std::system(command.c_str()) != 0 && std::string(format) == "ustar") continue;  // too long for it
    EXPECT_THAT(contents(archive), testing::ElementsAre("b.txt=bb", deep + "=deep")) << format;
  }
}

TEST(Tar, RefusesWhatIsDamaged) {
  using namespace vit::test;
  const TempDir dir;
  const auto error = [&](const std::string& bytes) { return usage_error([&] { list(dir, bytes); }); };
  EXPECT_THAT(error(std::string(600, 'x')), HasSubstr("byte 0: no tar archive"));
  EXPECT_THAT(error(tar_member("a", "1") + std::string(512, 'x')), HasSubstr("byte 1024: damaged tar archive"));
  EXPECT_THAT(error(tar_member("a", "1") + "rest"), HasSubstr("byte 1024: truncated"));
  EXPECT_THAT(error(tar_header("big", 5000) + "x"), HasSubstr("'big' has 5000 bytes"));
  EXPECT_THAT(error(tar_header("s", 0, 'S')), HasSubstr("sparse"));
  EXPECT_THAT(error(tar_member("x", "9 a=b\n", 'x')), HasSubstr("pax record"));
  EXPECT_THAT(error(tar_member("x", pax_record("size", "12a"), 'x')), HasSubstr("pax size"));
  EXPECT_THAT(error(tar_member("x", pax_record("size", "99999"), 'x') + tar_member("a", "1")), HasSubstr("99999"));
  EXPECT_THAT(error(tar_header("L", uint64_t{1} << 30, 'L')), HasSubstr("truncated"));
  const std::string gzip = "\x1F\x8B rest";
  EXPECT_THAT(error(gzip), HasSubstr("gunzip"));
}

TEST(Tar, SurvivesFlippedBytes) {
  using namespace vit::test;
  const TempDir dir;
  const std::string good = tar_member("x", pax_record("path", "somewhere/else"), 'x') + tar_member("a", "12345") +
                           tar_member("L", std::string(120, 'n'), 'L') + tar_member("b", "6") + std::string(1024, '\0');
  vit::Rng rng(3);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) bytes[rng.next_u32() % bytes.size()] = static_cast<char>(rng.next_u32());
    if (round % 3 == 0) bytes.resize(rng.next_u32() % bytes.size());
    try {
      const std::string path = dir.write("fuzz.tar", bytes).string();
      for (const std::string& content : contents(path)) EXPECT_LE(content.size(), bytes.size());
    } catch (const vit::Error&) {
    }
  }
}

}  // namespace
}  // namespace datasets
