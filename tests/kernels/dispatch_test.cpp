// The choice of a table, and what may be found in the objects that it chooses from.
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>
#include <string>

#include "tests/kernels/guarded.h"
#include "tests/support/errors.h"

namespace vit::kernels::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(DispatchTest, TablesAreComplete) {
  for (const KernelTable* table : available_tables(true)) {
    SCOPED_TRACE(table->name);
    EXPECT_EQ(table->panel_width % table->vector_width, 0);
    // Everything behind the five data members is a function that must be there.
    const auto* first = reinterpret_cast<void* const*>(&table->pack_b);
    const auto* last = reinterpret_cast<void* const*>(&table->fma_peak);
    for (const auto* function = first; function <= last; ++function) EXPECT_NE(*function, nullptr);
  }
}

TEST(DispatchTest, ScalarAndBaselineAlwaysExist) {
  ASSERT_NE(kernels_for(Isa::scalar), nullptr);
  EXPECT_STREQ(kernels_for(Isa::scalar)->name, "scalar");
#if defined(__x86_64__)
  EXPECT_NE(kernels_for(Isa::sse2), nullptr);
  EXPECT_EQ(kernels_for(Isa::neon64), nullptr);
#endif
}

/// kernels() decides once per process, so each choice is looked at in a fresh one.
int isa_in_child(const char* wanted, const std::string& expected_name) {
  setenv("VITKIT_ISA", wanted, 1);
  try {
    return expected_name == kernels().name ? 0 : 1;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.kind() == ErrorKind::kUsage ? 2 : 3;
  }
}

TEST(DispatchDeathTest, EnvironmentChoosesTheTable) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const KernelTable* table : available_tables(true))
    EXPECT_EXIT(std::exit(isa_in_child(table->name, table->name)), testing::ExitedWithCode(0), "") << table->name;
  const std::string widest = available_tables(true).back()->name;
  EXPECT_EXIT(std::exit(isa_in_child("", widest)), testing::ExitedWithCode(0), "");
}

TEST(DispatchDeathTest, UnknownIsaIsRefusedWithTheList) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(isa_in_child("avx3", "")), testing::ExitedWithCode(2), "VITKIT_ISA=avx3.*scalar, sse2");
}

// ---- the objects ----

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return output;
  char buffer[1 << 14];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
  return pclose(pipe) == 0 ? output : std::string();
}

/// The objects of isa.cpp in this build tree, by the set's name.
std::map<std::string, fs::path> isa_objects() {
  std::map<std::string, fs::path> objects;
  const std::regex name("isa_([a-z0-9]+)\\.cpp\\.o");
  for (const auto& file :
       fs::recursive_directory_iterator(fs::path(VITKIT_BUILD_DIR) / "CMakeFiles" / "vit_kernels.dir")) {
    std::smatch match;
    const std::string filename = file.path().filename();
    if (std::regex_match(filename, match, name)) objects[match[1]] = file.path();
  }
  return objects;
}

class IsaObjectTest : public testing::Test {
 protected:
  void SetUp() override {
    if (output_of("objdump --version").empty()) GTEST_SKIP() << "binutils are not installed";
    objects_ = isa_objects();
    ASSERT_FALSE(objects_.empty()) << "no objects under " << VITKIT_BUILD_DIR;
  }
  std::map<std::string, fs::path> objects_;
};

TEST_F(IsaObjectTest, ExportNothingThatOtherObjectsCouldPickUp) {
  for (const auto& [isa, path] : objects_) {
    std::istringstream lines(output_of("nm --defined-only --extern-only '" + path.string() + "'"));
    bool found_table = false;
    for (std::string address, type, name; lines >> address >> type >> name;) {
      if (name.find("table_" + isa) != std::string::npos) {
        found_table = true;
        continue;
      }
      // Inline functions of xsimd carry this set's own namespace; sanitizers add names and type descriptions, no code.
      const bool own = name.find("vitkit_xsimd_" + isa) != std::string::npos;
      const bool tool = name.find("asan") != std::string::npos || name.find("DW.ref") == 0 || name.find("_ZTI") == 0 ||
                        name.find("_ZTS") == 0;
      EXPECT_TRUE(own || tool) << isa << " exports " << type << " " << name;
    }
    EXPECT_TRUE(found_table) << isa;
  }
}

TEST_F(IsaObjectTest, BaselineUsesNoWiderRegisters) {
  if (!objects_.count("sse2")) GTEST_SKIP() << "not an x86-64 build";
  const std::string code = output_of("objdump -d --no-show-raw-insn '" + objects_.at("sse2").string() + "'");
  ASSERT_THAT(code, HasSubstr("mulps"));
  EXPECT_EQ(code.find("%ymm"), std::string::npos);
  EXPECT_EQ(code.find("%zmm"), std::string::npos);
  EXPECT_EQ(code.find("vmulps"), std::string::npos);
}

/// Arithmetic in the disassembly of tile<..., arguments>, a register tile.
struct TileCount {
  int64_t fused = 0, multiplied = 0, added = 0;
};
TileCount count_tile(const fs::path& object, const std::string& tile, const std::string& arguments) {
  std::istringstream lines(output_of("objdump -d -C --no-show-raw-insn '" + object.string() + "'"));
  TileCount count;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == ':')
      inside = line.find(tile + "<") != std::string::npos && line.find(arguments) != std::string::npos;
    if (!inside) continue;
    if (line.find("vfmadd") != std::string::npos) ++count.fused;
    if (line.find("vmulps") != std::string::npos) ++count.multiplied;
    if (line.find("vaddps") != std::string::npos) ++count.added;
  }
  return count;
}

// xsimd 8.1 has no AVX-512 fma and falls back to a multiply and an add: this is what would notice.
TEST_F(IsaObjectTest, TheRegisterTilesAreFusedMultiplyAdds) {
  if (!objects_.count("avx2")) GTEST_SKIP() << "not an x86-64 build";
  struct Case {
    const char *isa, *arguments;
    int64_t accumulators;
  };
  for (const Case& c : {Case{"avx2", ", 6, 2>", 12}, Case{"avx512", ", 6, 4>", 24}}) {
    SCOPED_TRACE(c.isa);
    const TileCount dense = count_tile(objects_.at(c.isa), "tile_dense", c.arguments);
    EXPECT_GE(dense.fused, c.accumulators);
    EXPECT_EQ(dense.multiplied, 0);
    EXPECT_EQ(dense.added, 0);
    // This one adds its accumulators to the output at the end, once.
    const TileCount transposed = count_tile(objects_.at(c.isa), "tile_transposed", c.arguments);
    EXPECT_GE(transposed.fused, c.accumulators);
    EXPECT_EQ(transposed.multiplied, 0);
    EXPECT_LE(transposed.added, c.accumulators);
  }
}

}  // namespace
}  // namespace vit::kernels::test
