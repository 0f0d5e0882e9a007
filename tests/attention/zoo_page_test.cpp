// docs/attention_zoo.md teaches every mechanism of the library, in the words that the mechanism itself uses.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_dir.h"
#include "vit/nn/attention.h"

namespace vit {
namespace {

const std::string kDocs = std::string(VITKIT_SOURCE_DIR) + "/docs/";

/// The text from a heading to the next.
std::string section_of(const std::string& page, const std::string& name) {
  const size_t begin = page.find("\n### " + name + "\n");
  if (begin == std::string::npos) return {};
  return page.substr(begin, page.find("\n##", begin + 4) - begin);
}

TEST(AttentionZooPage, HasASectionForEveryMechanism) {
  const std::string page = test::slurp(kDocs + "attention_zoo.md");
  for (const std::string& name : attention_registry().names()) {
    if (name == "mean") continue;  // the example of docs/adding_an_attention.md, which no library has
    const std::string section = section_of(page, name);
    const AttentionTraits& traits = attention_registry().find(name).traits;
    EXPECT_NE(section, "") << "docs/attention_zoo.md has no section '### " << name << "'";
    for (const std::string& text : {traits.formula, traits.complexity, traits.source})
      EXPECT_NE(section.find(text), std::string::npos) << name << ": the page does not say '" << text << "'";
    EXPECT_NE(section.find("attention/" + name + ".png"), std::string::npos) << name << " has no picture";
    EXPECT_TRUE(std::filesystem::exists(kDocs + "attention/" + name + ".png")) << name;
  }
}

TEST(AttentionZooPage, HasNoSectionOfNothing) {
  const std::string page = test::slurp(kDocs + "attention_zoo.md");
  for (size_t at = 0; (at = page.find("\n### ", at)) != std::string::npos; at += 5) {
    const std::string name = page.substr(at + 5, page.find('\n', at + 5) - at - 5);
    EXPECT_TRUE(attention_registry().contains(name)) << name;
  }
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kDocs + "attention")) {
    EXPECT_TRUE(attention_registry().contains(entry.path().stem().string())) << entry.path();
    bytes += static_cast<int64_t>(entry.file_size());
  }
  EXPECT_LT(bytes, 1'500'000) << "pictures of a page are small";
}

}  // namespace
}  // namespace vit
