#include "tests/parity/preprocess_case.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace vit {
namespace {

/// The reference case, from tests/goldens or from a folder of shared data beside the repository.
std::filesystem::path find_case() {
  const std::filesystem::path source = VITKIT_SOURCE_DIR;
  const char* shared = std::getenv("VITKIT_SHARED");
  for (const std::filesystem::path& root :
       {source / "tests" / "goldens", (shared ? std::filesystem::path(shared) : source / ".." / "shared") / "goldens"})
    if (std::filesystem::exists(root / "D_preprocess" / "golden.safetensors")) return root / "D_preprocess";
  return {};
}

TEST(PreprocessCase, EveryTensorMatchesPillowTimmAndTransformers) {
  const std::filesystem::path dir = find_case();
  if (dir.empty()) GTEST_SKIP() << "no D_preprocess in tests/goldens or VITKIT_SHARED";
  const std::vector<PreprocessResult> results = run_preprocess_golden(dir);
  EXPECT_GE(results.size(), 60u);
  for (const PreprocessResult& result : results)
    EXPECT_TRUE(result.ok) << result.name << ": " << result.max_abs << " " << result.error;
}

}  // namespace
}  // namespace vit
