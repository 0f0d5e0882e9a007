#include "tests/support/tokenizer_golden.h"

#include <nlohmann/json.hpp>

#include "vit/io/json.h"

namespace vit::test {

TokenizerGolden run_tokenizer_golden(const captioning::Tokenizer& tokenizer, const std::filesystem::path& golden) {
  TokenizerGolden result;
  const nlohmann::json entries = load_json(golden);
  for (const nlohmann::json& entry : entries) {
    const auto text = entry.at("text").get<std::string>();
    const auto expect = [&](const char* what, const auto& ours) {
      const nlohmann::json got = ours;
      if (got != entry.at(what))
        result.wrong.push_back(std::string(what) + " of '" + text + "': " + got.dump() + ", not " +
                               entry.at(what).dump());
    };
    const std::vector<int64_t> plain = tokenizer.encode(text, false),
                               reference = entry.at("ids").get<std::vector<int64_t>>();
    std::vector<std::string> tokens;
    for (int64_t id : plain) tokens.push_back(tokenizer.token(id));
    expect("ids", tokenizer.encode(text));
    expect("ids_no_special", plain);
    expect("tokens", tokens);
    expect("decode", tokenizer.decode(reference, false));
    expect("decode_skip", tokenizer.decode(reference));
    ++result.texts;
  }
  return result;
}

}  // namespace vit::test
