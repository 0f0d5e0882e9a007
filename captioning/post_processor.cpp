#include "captioning/post_processor.h"

#include <nlohmann/json.hpp>
#include <string>

#include "vit/core/check.h"

namespace captioning {

namespace {

int64_t checked(const Vocabulary& vocabulary, const std::string& token, int64_t id, const std::string& where) {
  const auto known = vocabulary.find(token);
  if (!known) vit::fail_usage(where, ": '", token.substr(0, 80), "' is not in the vocabulary");
  if (*known != id)
    vit::fail_usage(where, ": '", token.substr(0, 80), "' has the id ", *known, " in the vocabulary, here ", id);
  return id;
}

/// ["[SEP]", 102]
int64_t read_token(const vit::JsonObject& json, const std::string& key, const Vocabulary& vocabulary) {
  const nlohmann::json* value = json.find(key);
  const bool fits =
      value && value->is_array() && value->size() == 2 && (*value)[0].is_string() && (*value)[1].is_number_integer();
  if (!fits) json.refuse(key, "[token, id]");
  return checked(vocabulary, (*value)[0].get<std::string>(), (*value)[1].get<int64_t>(), json.where(key));
}

/// Of "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [101], "tokens": ["[CLS]"]}}.
void append_special(const vit::JsonObject& specials, const std::string& name, const Vocabulary& vocabulary,
                    std::vector<int64_t>& ids) {
  if (!specials.has(name)) specials.refuse(name, "the ids of a token that the template has");
  const vit::JsonObject special = specials.get_object(name);
  const std::vector<int64_t> numbers = special.get_ints("ids", {});
  const std::vector<std::string> tokens = special.get_strings("tokens", {});
  if (numbers.empty() || numbers.size() != tokens.size()) special.refuse("ids", "one id for each of \"tokens\"");
  for (size_t i = 0; i < numbers.size(); ++i)
    ids.push_back(checked(vocabulary, tokens[i], numbers[i], special.where("ids")));
}

PostProcessor read_template(const vit::JsonObject& json, const Vocabulary& vocabulary) {
  PostProcessor result;
  bool behind = false;
  for (const vit::JsonObject& piece : json.get_objects("single")) {
    if (piece.has("Sequence")) {
      if (behind) json.refuse("single", "the text once");
      behind = true;
    } else if (piece.has("SpecialToken")) {
      append_special(json.get_object("special_tokens"), piece.get_object("SpecialToken").require_string("id"),
                     vocabulary, behind ? result.behind : result.before);
    } else {
      json.refuse("single", "pieces of {\"SpecialToken\": ...} and {\"Sequence\": ...}");
    }
  }
  if (!behind) json.refuse("single", "the text, {\"Sequence\": {\"id\": \"A\"}}");
  return result;
}

}  // namespace

PostProcessor make_post_processor(const vit::JsonObject& json, const Vocabulary& vocabulary) {
  const std::string type = json.require_string("type");
  if (type == "ByteLevel") return {};
  if (type == "RobertaProcessing" || type == "BertProcessing")
    return {{read_token(json, "cls", vocabulary)}, {read_token(json, "sep", vocabulary)}};
  if (type == "TemplateProcessing") return read_template(json, vocabulary);
  if (type == "Sequence") {
    PostProcessor all;
    for (const vit::JsonObject& part : json.get_objects("processors")) {
      const PostProcessor outer = make_post_processor(part, vocabulary);
      all.before.insert(all.before.begin(), outer.before.begin(), outer.before.end());
      all.behind.insert(all.behind.end(), outer.behind.begin(), outer.behind.end());
    }
    return all;
  }
  json.refuse("type",
              "a post-processor that is known here (BertProcessing, ByteLevel, RobertaProcessing, Sequence, "
              "TemplateProcessing)");
}

}  // namespace captioning
