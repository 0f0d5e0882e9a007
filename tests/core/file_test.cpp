#include "vit/core/file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using test::failure;
using test::slurp;
using test::TempDir;
using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(AtomicFile, WritesANewFile) {
  const TempDir dir;
  write_file_atomically(dir / "a.txt", "hello");
  EXPECT_EQ(slurp(dir / "a.txt"), "hello");
  EXPECT_THAT(dir.entries(), ElementsAre("a.txt")) << "no temporary file stays";
}

TEST(AtomicFile, WritesAnEmptyFile) {
  const TempDir dir;
  write_file_atomically(dir / "empty", std::string_view());
  EXPECT_EQ(slurp(dir / "empty"), "");
}

TEST(AtomicFile, PiecesMayHavePlacesOfTheirOwn) {
  const TempDir dir;
  write_file_atomically(dir / "a", [](AtomicFile& file) {
    file.write_at(4, "tail", 4);
    file.write_at(0, "head", 4);
    file.write_at(6, "k", 1);
  });
  EXPECT_EQ(slurp(dir / "a"), "headtakl");
  EXPECT_THAT(failure([] { AtomicFile("/dev/null").write_at(0, "x", 1); }), HasSubstr("needs a file on a disk"));
}

TEST(AtomicFile, SmallAndLargePiecesKeepTheirOrder) {
  const TempDir dir;
  const std::string large(200'000, 'x');
  write_file_atomically(dir / "a", [&](AtomicFile& file) {
    file.write("begin ");
    file.write(large);
    file.write(" middle ");
    for (int i = 0; i < 100'000; ++i) file.write("y");
    file.write(" end");
  });
  EXPECT_EQ(slurp(dir / "a"), "begin " + large + " middle " + std::string(100'000, 'y') + " end");
}

TEST(AtomicFile, OldContentStaysUntilCommit) {
  const TempDir dir;
  dir.write("a", "old");
  {
    AtomicFile file(dir / "a");
    file.write("new");
    EXPECT_EQ(slurp(dir / "a"), "old");
    file.commit();
    EXPECT_EQ(slurp(dir / "a"), "new");
    EXPECT_THAT(failure([&] { file.write("more"); }), HasSubstr("committed already"));
    EXPECT_THAT(failure([&] { file.commit(); }), HasSubstr("committed already"));
  }
  EXPECT_EQ(slurp(dir / "a"), "new");
}

TEST(AtomicFile, AnExceptionLeavesEverythingAsItWas) {
  const TempDir dir;
  dir.write("a", "old");
  const auto broken = [](AtomicFile& file) {
    file.write(std::string(100'000, 'x'));
    fail("no more");
  };
  EXPECT_EQ(failure([&] { write_file_atomically(dir / "a", broken); }), "no more");
  EXPECT_EQ(failure([&] { write_file_atomically(dir / "b", broken); }), "no more");
  EXPECT_EQ(slurp(dir / "a"), "old");
  EXPECT_THAT(dir.entries(), ElementsAre("a"));
}

TEST(AtomicFile, ErrorsNameThePathAndTheReason) {
  const TempDir dir;
  EXPECT_THAT(failure([&] { write_file_atomically(dir / "no/such/a", "x"); }),
              AllOf(HasSubstr("no/such/a"), HasSubstr("No such file or directory")));
  EXPECT_THAT(failure([&] { write_file_atomically(dir.path(), "x"); }), HasSubstr("it is a folder"));
  EXPECT_THAT(failure([&] { write_file_atomically("", "x"); }), HasSubstr("name is empty"));
  dir.write("file", "x");
  EXPECT_THAT(failure([&] { write_file_atomically(dir / "file/a", "x"); }), HasSubstr("Not a directory"));
}

TEST(AtomicFile, DevicesAreWrittenToAndNeverReplaced) {
  write_file_atomically("/dev/null", "gone");
  struct stat status {};
  ASSERT_EQ(stat("/dev/null", &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
  EXPECT_THAT(failure([] { write_file_atomically("/dev/full", "x"); }),
              AllOf(HasSubstr("/dev/full"), HasSubstr("No space left on device")));
}

TEST(AtomicFile, FollowsSymbolicLinks) {
  const TempDir dir;
  dir.write("target", "old");
  std::filesystem::create_symlink("target", dir / "link");
  std::filesystem::create_symlink("fresh", dir / "dangling");
  write_file_atomically(dir / "link", "new");
  write_file_atomically(dir / "dangling", "born");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
  EXPECT_EQ(slurp(dir / "target"), "new");
  EXPECT_EQ(slurp(dir / "fresh"), "born");
  EXPECT_THAT(dir.entries(), ElementsAre("dangling", "fresh", "link", "target"));
}

TEST(AtomicFile, KeepsPermissions) {
  const TempDir dir;
  dir.write("a", "old");
  ASSERT_EQ(chmod((dir / "a").c_str(), 0640), 0);
  write_file_atomically(dir / "a", "new");
  struct stat status {};
  ASSERT_EQ(stat((dir / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST(AtomicFile, LongNames) {
  const TempDir dir;
  const std::string name(255, 'n');  // the longest that the file system allows
  write_file_atomically(dir / name, "x");
  EXPECT_EQ(slurp(dir / name), "x");
}

// A full disk in the middle of the writing, by a limit on file sizes; in a process of its own, since limits stay.
TEST(AtomicFile, AFullDiskLeavesTheOldFile) {
  const TempDir dir;
  dir.write("a", "old");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomically(dir / "a", std::string(1'000'000, 'x'));
    } catch (const Error& error) {
      _exit(std::string(error.what()).find("File too large") != std::string::npos ? 42 : 2);
    }
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_EQ(slurp(dir / "a"), "old");
  EXPECT_THAT(dir.entries(), ElementsAre("a"));
}

TEST(ReadFile, ReadsAll) {
  const TempDir dir;
  const std::string content = std::string(100'000, 'x') + '\0' + "end";
  EXPECT_EQ(read_file(dir.write("a", content)), content);
  EXPECT_EQ(read_file(dir.write("empty", "")), "");
  EXPECT_FALSE(read_file("/proc/self/status").empty()) << "files whose size is said to be 0";
}

TEST(ReadFile, Limits) {
  const TempDir dir;
  const auto file = dir.write("a", "12345");
  EXPECT_EQ(read_file(file, 5), "12345");
  EXPECT_THAT(usage_error([&] { read_file(file, 4); }), AllOf(HasSubstr("limit of 4 bytes"), HasSubstr("a")));
  EXPECT_THAT(usage_error([] { read_file("/dev/zero", 1000); }), HasSubstr("limit of 1000 bytes"));
}

TEST(ReadFile, Errors) {
  const TempDir dir;
  EXPECT_THAT(usage_error([&] { read_file(dir / "none"); }), AllOf(HasSubstr("none"), HasSubstr("No such file")));
  EXPECT_THAT(usage_error([&] { read_file(dir.path()); }), HasSubstr("it is a folder"));
  EXPECT_THAT(failure([&] { read_file(dir / "none", 10, ErrorKind::kFailure); }), HasSubstr("No such file"));
}

TEST(AtomicFile, ASignalHandlerCanRemoveWhatIsUnfinished) {
  const test::TempDir dir;
  AtomicFile file(dir / "result.txt");
  file.write("half");
  EXPECT_FALSE(std::filesystem::is_empty(dir.path()));
  remove_unfinished_files();
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(AtomicFile, AnOpenDescriptorIsAppendedToAndNotReplaced) {
  const test::TempDir dir;
  dir.write("log", "first\n");
  const int descriptor = ::open((dir / "log").c_str(), O_WRONLY | O_APPEND);
  ASSERT_GE(descriptor, 0);
  write_file_atomically("/dev/fd/" + std::to_string(descriptor), "second\n");
  ::close(descriptor);
  EXPECT_EQ(test::slurp(dir / "log"), "first\nsecond\n");
}

}  // namespace
}  // namespace vit
