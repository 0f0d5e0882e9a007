#include "tests/parity/preprocess_case.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace vit {
namespace {

/// Where the reference case lies: a selection of it in tests/goldens, all of it in the shared data beside the
/// repository.
std::vector<std::filesystem::path> find_cases() {
  const std::filesystem::path source = VITKIT_SOURCE_DIR;
  const char* shared = std::getenv("VITKIT_SHARED");
  std::vector<std::filesystem::path> cases;
  for (const std::filesystem::path& root :
       {source / "tests", shared ? std::filesystem::path(shared) : source / ".." / "shared"})
    if (std::filesystem::exists(root / "goldens" / "D_preprocess" / "golden.safetensors"))
      cases.push_back(root / "goldens" / "D_preprocess");
  return cases;
}

TEST(PreprocessCase, EveryTensorMatchesPillowTimmAndTransformers) {
  const auto cases = find_cases();
  if (cases.empty()) GTEST_SKIP() << "no D_preprocess in tests/goldens or VITKIT_SHARED";
  for (const std::filesystem::path& dir : cases) {
    const std::vector<PreprocessResult> results = run_preprocess_golden(dir);
    EXPECT_FALSE(results.empty());
    for (const PreprocessResult& result : results)
      EXPECT_TRUE(result.ok) << dir << ": " << result.name << ": " << result.max_abs << " " << result.error;
  }
}

}  // namespace
}  // namespace vit
