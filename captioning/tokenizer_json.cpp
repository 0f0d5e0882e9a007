// Tables from a tokenizer.json.
#include <algorithm>
#include <array>
#include <utility>

#include "captioning/tokenizer_tables.h"
#include "vit/core/check.h"
#include "vit/io/json.h"

namespace captioning {

using nlohmann::json;

namespace {

/// Added tokens may leave room behind the vocabulary, but not for ever.
constexpr int64_t kMaxGap = 1024;

AddedToken read_added(const vit::JsonObject& entry) {
  AddedToken token{.content = entry.require_string("content"), .id = entry.require_int("id")};
  token.special = entry.get_bool("special", false);
  token.single_word = entry.get_bool("single_word", false);
  token.lstrip = entry.get_bool("lstrip", false);
  token.rstrip = entry.get_bool("rstrip", false);
  token.normalized = entry.get_bool("normalized", !token.special);
  return token;
}

/// Ids have no holes below the largest of the vocabulary: a number that is out of range would make some.
void check_range(const Vocabulary& vocabulary, int64_t largest, const std::string& where) {
  for (int64_t id = 0; id < largest; ++id)
    if (!vocabulary.has(id))
      vit::fail_usage(where, ": id ", largest, " of '", vocabulary.token(largest).substr(0, 80),
                      "' is out of range, or a token is missing: no token has the id ", id);
}

/// Where a checkpoint does not say which token is what.
struct Role {
  const char* name;
  std::optional<int64_t> SpecialTokens::*member;
  std::array<const char*, 4> candidates;
};
const std::array<Role, 7>& roles() {
  static const std::array<Role, 7> all = {{
      {"bos_token", &SpecialTokens::bos, {"<|startoftext|>", "<bos>", "<s>", "<|endoftext|>"}},
      {"eos_token", &SpecialTokens::eos, {"<|endoftext|>", "<eos>", "</s>", nullptr}},
      {"pad_token", &SpecialTokens::pad, {"[PAD]", "<pad>", nullptr, nullptr}},
      {"unk_token", &SpecialTokens::unk, {"[UNK]", "<unk>", "<|endoftext|>", nullptr}},
      {"cls_token", &SpecialTokens::cls, {"[CLS]", nullptr, nullptr, nullptr}},
      {"sep_token", &SpecialTokens::sep, {"[SEP]", nullptr, nullptr, nullptr}},
      {"mask_token", &SpecialTokens::mask, {"[MASK]", "<mask>", nullptr, nullptr}},
  }};
  return all;
}

}  // namespace

const std::vector<std::string>& token_roles() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Role& role : roles()) all.emplace_back(role.name);
    return all;
  }();
  return names;
}

void Tokenizer::Tables::read_vocabulary(const std::string& where) {
  const vit::JsonObject top(document, where);
  const vit::JsonObject vocab = top.get_object("model").get_object("vocab");
  int64_t largest = -1;
  for (const auto& [token, id] : vocab.raw().items()) {
    if (!id.is_number_integer()) vocab.refuse(token, "an integer");
    vocabulary.add(token, id.get<int64_t>(), vocab.where());
    largest = std::max(largest, id.get<int64_t>());
  }
  if (largest < 0) vit::fail_usage(vocab.where(), ": no tokens");
  std::vector<AddedToken> tokens;
  for (const vit::JsonObject& entry : top.get_objects("added_tokens")) {
    tokens.push_back(read_added(entry));
    vocabulary.add(tokens.back().content, tokens.back().id, entry.where());
  }
  check_range(vocabulary, largest, vocab.where());
  const auto room = static_cast<int64_t>(vocab.raw().size() + tokens.size()) + kMaxGap;
  if (vocabulary.size() > room)
    vit::fail_usage(where, ": added_tokens: id ", vocabulary.size() - 1, " of '",
                    vocabulary.token(vocabulary.size() - 1).substr(0, 80), "' is out of range: there are ",
                    vocab.raw().size(), " tokens and ", tokens.size(), " added ones");
  is_special.assign(static_cast<size_t>(vocabulary.size()), false);
  for (const AddedToken& token : tokens)
    if (token.special) is_special[static_cast<size_t>(token.id)] = true;
  added = std::make_unique<AddedTokens>(std::move(tokens), normalizer.get(), where);
}

void Tokenizer::Tables::read_steps(const std::string& where) {
  const vit::JsonObject top(document, where);
  if (top.has("pre_tokenizer")) pre_tokenizer = make_pre_tokenizer(top.get_object("pre_tokenizer"));
  const vit::JsonObject model_json = top.get_object("model");
  model = make_subword_model(model_json, vocabulary, pre_tokenizer && pre_tokenizer->byte_level());
  if (top.has("post_processor")) post_processor = make_post_processor(top.get_object("post_processor"), vocabulary);
  if (top.has("decoder")) {
    const vit::JsonObject decoder_json = top.get_object("decoder");
    decoder = make_token_decoder(decoder_json);
    if (decoder_json.require_string("type") == "ByteLevel")
      end_of_word = model_json.get_string("end_of_word_suffix", "");
  }
  const bool word_piece = model_json.get_string("type", model_json.has("merges") ? "BPE" : "WordPiece") == "WordPiece";
  clean_up = vit::JsonObject(config, where).get_bool("clean_up_tokenization_spaces", word_piece);
}

void Tokenizer::Tables::read_special(const std::string& where) {
  const vit::JsonObject names(config, where);
  for (const Role& role : roles()) {
    std::optional<int64_t>& place = special.*role.member;
    if (names.has(role.name)) {
      const std::string token = names.require_string(role.name);
      place = vocabulary.find(token);
      if (!place) vit::fail_usage(names.where(role.name), ": '", token.substr(0, 80), "' is not in the vocabulary");
      is_special[static_cast<size_t>(*place)] = true;
      continue;
    }
    for (const char* candidate : role.candidates) {
      const auto id = candidate ? vocabulary.find(candidate) : std::nullopt;
      if (place || !id || !is_special[static_cast<size_t>(*id)]) continue;
      place = id;
      config[role.name] = candidate;
    }
  }
}

Tokenizer::Tables::Tables(json tokenizer, json tokenizer_config, const std::string& where)
    : document(std::move(tokenizer)), config(std::move(tokenizer_config)) {
  const vit::JsonObject top(document, where);
  if (!top.has("model")) top.refuse("model", "a BPE or WordPiece model");
  if (top.has("normalizer")) normalizer = make_normalizer(top.get_object("normalizer"));
  read_vocabulary(where);
  read_steps(where);
  read_special(where);
  config["clean_up_tokenization_spaces"] = clean_up;
}

}  // namespace captioning
