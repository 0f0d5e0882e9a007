#include "vit/core/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/env.h"
#include "tests/support/errors.h"

namespace vit::detail {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

PluginRequest request(const std::string& file, int version = 1) {
  return {.what = "a test's module",
          .file = file,
          .variable = "VITKIT_TEST_MODULE",
          .version_name = "vitkit_codecs_version",
          .table_name = "vitkit_codecs_table",
          .version = version};
}

TEST(Plugin, SaysWhereItLooked) {
  const LoadedPlugin plugin = load_plugin(request("libvitkit_none.so"));
  EXPECT_EQ(plugin.table, nullptr);
  EXPECT_THAT(plugin.error, AllOf(HasSubstr("a test's module"), HasSubstr("vitkit/libvitkit_none.so")));
  EXPECT_EQ(test::failure([&] { table_of(plugin); }), plugin.error);
}

TEST(Plugin, TheVariableNamesAnotherFile) {
  const test::ScopedEnv variable("VITKIT_TEST_MODULE", "/nowhere/chosen.so");
  EXPECT_THAT(load_plugin(request("libvitkit_codecs.so")).error, HasSubstr("/nowhere/chosen.so"));
}

TEST(Plugin, AnotherVersionIsRefused) {
  EXPECT_THAT(load_plugin(request("libvitkit_codecs.so", -1)).error, HasSubstr("another version of the toolkit"));
}

}  // namespace
}  // namespace vit::detail
