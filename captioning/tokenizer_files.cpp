// Tables from a folder: the tokenizer.json, or one that is made of vocab.json + merges.txt or of vocab.txt, with what
// the smaller files beside it say.
#include <algorithm>
#include <set>
#include <utility>

#include "captioning/tokenizer_tables.h"
#include "captioning/unicode.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/io/json.h"

namespace captioning {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// A JSON file of the folder; `value` is empty where there is none.
struct SideFile {
  json value = json::object();
  std::string where;
  vit::JsonObject object() const { return {value, where}; }
};

json parse_file(const fs::path& path) {
  return vit::parse_json(vit::read_file(path, kMaxTokenizerBytes), path.string(),
                         {.max_bytes = kMaxTokenizerBytes, .max_depth = kMaxTokenizerDepth});
}

SideFile read_side_file(const fs::path& path) {
  SideFile file{.where = path.string()};
  if (!fs::exists(path)) return file;
  file.value = parse_file(path);
  if (!file.value.is_object()) vit::fail_usage(file.where, ": expected an object");
  return file;
}

/// Lines without their ends. Errors: bytes that are no UTF-8, an empty file.
std::vector<std::string> read_lines(const fs::path& path) {
  const std::string text = vit::read_file(path, kMaxTokenizerBytes);
  if (text.empty()) vit::fail_usage(path.string(), ": the file is empty");
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (valid_utf8(line) != line) vit::fail_usage(path.string(), ": line ", lines.size() + 1, " is no UTF-8");
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

/// Everything that the folder's files say beside the vocabulary.
struct SideFiles {
  SideFile config, map, added;

  /// The name of a role's token: special_tokens_map.json goes before tokenizer_config.json, unless that lists its added
  /// tokens (transformers' rule for older checkpoints).
  std::pair<const json*, std::string> role(const std::string& name) const {
    const bool newer = config.object().has("added_tokens_decoder");
    const SideFile& first = newer ? config : map;
    const SideFile& second = newer ? map : config;
    if (const json* value = first.object().find(name)) return {value, first.object().where(name)};
    return {second.object().find(name), second.object().where(name)};
  }
};

/// "[CLS]" or {"content": "[CLS]", ...}.
std::string content_of(const json& token, const std::string& where) {
  if (token.is_string()) return token.get<std::string>();
  return vit::JsonObject(token, where).require_string("content");
}

json added_entry(const std::string& content, int64_t id, bool special) {
  return {{"id", id},        {"content", content}, {"single_word", false},  {"lstrip", false},
          {"rstrip", false}, {"special", special}, {"normalized", !special}};
}

/// A document's added tokens while the folder's other files add to them. What it has already stays as it is.
class AddedList {
 public:
  AddedList(json& document, const std::string& where) : document_(document), where_(where) {
    const vit::JsonObject top(document, where);
    for (const vit::JsonObject& entry : top.get_objects("added_tokens")) names_.insert(entry.require_string("content"));
    if (!top.has("added_tokens")) document_["added_tokens"] = json::array();
  }

  void add(json entry) {
    if (names_.insert(entry.at("content").get<std::string>()).second)
      document_["added_tokens"].push_back(std::move(entry));
  }

  /// A token that must be in the vocabulary, where it is not an added one.
  void add_special(const json& token, const std::string& where) {
    const std::string content = content_of(token, where);
    if (names_.count(content) > 0) return;
    const vit::JsonObject vocab = vit::JsonObject(document_, where_).get_object("model").get_object("vocab");
    const json* id = vocab.find(content);
    if (!id || !id->is_number_integer())
      vit::fail_usage(where, ": '", content.substr(0, 80), "' is neither in the vocabulary nor in added_tokens.json");
    json entry = added_entry(content, id->get<int64_t>(), true);
    if (token.is_object())
      for (const char* key : {"single_word", "lstrip", "rstrip", "normalized"})
        entry[key] = vit::JsonObject(token, where).get_bool(key, entry[key].get<bool>());
    add(std::move(entry));
  }

 private:
  json& document_;
  std::string where_;
  std::set<std::string> names_;
};

/// tokenizer_config.json's {"50256": {"content": ...}}.
void add_from_decoder(const vit::JsonObject& decoder, AddedList& list) {
  for (const std::string& key : decoder.keys()) {
    const bool digits = !key.empty() && key.size() <= 9 && key.find_first_not_of("0123456789") == std::string::npos;
    const vit::JsonObject token = decoder.get_object(key);
    if (!digits) decoder.refuse(key, "an id as key");
    json entry = added_entry(token.require_string("content"), std::stoll(key), token.get_bool("special", false));
    for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"})
      entry[flag] = token.get_bool(flag, entry[flag].get<bool>());
    list.add(std::move(entry));
  }
}

/// Completes the document's added tokens, and collects which token is what in `roles`.
void add_tokens(const SideFiles& files, const std::string& where, json& document, json& roles) {
  AddedList list(document, where);
  std::set<std::string> special;
  for (const std::string& name : token_roles()) {
    const auto [value, place] = files.role(name);
    if (!value) continue;
    roles[name] = content_of(*value, place);
    special.insert(content_of(*value, place));
  }
  const auto [more, more_place] = files.role("additional_special_tokens");
  if (more && !more->is_array()) vit::fail_usage(more_place, ": expected a list of tokens");
  if (more)
    for (const json& token : *more) special.insert(content_of(token, more_place));
  const vit::JsonObject config = files.config.object();
  if (config.has("added_tokens_decoder")) {
    add_from_decoder(config.get_object("added_tokens_decoder"), list);
  } else {
    const vit::JsonObject added = files.added.object();
    for (const std::string& token : added.keys())
      list.add(added_entry(token, added.require_int(token), special.count(token) > 0));
  }
  for (const std::string& name : token_roles())
    if (const auto [value, place] = files.role(name); value) list.add_special(*value, place);
  if (more)
    for (const json& token : *more) list.add_special(token, more_place);
}

/// A token's name by its role, else the family's own.
std::string role_or(const SideFiles& files, const std::string& name, const std::string& fallback) {
  const auto [value, place] = files.role(name);
  return value ? content_of(*value, place) : fallback;
}

/// Marks the family's own special tokens, where the vocabulary has them.
void add_defaults(const std::vector<std::string>& names, json& document) {
  const json& vocab = document["model"]["vocab"];
  for (const std::string& name : names)
    if (const auto found = vocab.find(name); found != vocab.end() && found->is_number_integer())
      document["added_tokens"].push_back(added_entry(name, found->get<int64_t>(), true));
}

/// Errors: a line that is no pair, or names a token that is not in the vocabulary, itself or together.
json read_merges(const fs::path& path, const json& vocab) {
  const std::vector<std::string> lines = read_lines(path);
  json merges = json::array();
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (line.starts_with("#version") || (line.empty() && i + 1 == lines.size())) continue;
    const std::string where = vit::str(path.string(), ": line ", i + 1);
    const size_t space = line.find(' ');
    if (space == std::string::npos || space == 0 || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string::npos)
      vit::fail_usage(where, ": expected two tokens, got '", line.substr(0, 80), "'");
    const std::string left = line.substr(0, space), right = line.substr(space + 1);
    for (const std::string& token : {left, right, left + right})
      if (!vocab.contains(token)) vit::fail_usage(where, ": '", token.substr(0, 80), "' is not in vocab.json");
    merges.push_back(line);
  }
  return merges;
}

std::string class_of(const SideFiles& files) {
  std::string name = files.config.object().get_string("tokenizer_class", "");
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
}

json clip_document(const SideFiles& files, json model) {
  model["unk_token"] = role_or(files, "unk_token", "<|endoftext|>");
  model["end_of_word_suffix"] = "</w>";
  json split = {{"type", "Split"},
                {"pattern", {{"Regex", "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"}}},
                {"behavior", "Removed"},
                {"invert", true}};
  json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  json spaces = {{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}};
  json document = {
      {"normalizer",
       {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, std::move(spaces), {{"type", "Lowercase"}}}}}},
      {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {std::move(split), byte_level}}}},
      {"decoder", byte_level},
      {"model", std::move(model)}};
  const std::string cls = role_or(files, "bos_token", "<|startoftext|>"),
                    sep = role_or(files, "eos_token", "<|endoftext|>");
  const json& vocab = document["model"]["vocab"];
  document["post_processor"] = {{"type", "RobertaProcessing"},
                                {"cls", {cls, vocab.value(cls, json(-1))}},
                                {"sep", {sep, vocab.value(sep, json(-1))}},
                                {"trim_offsets", false},
                                {"add_prefix_space", false}};
  add_defaults({"<|startoftext|>", "<|endoftext|>"}, document);
  return document;
}

json template_of(const std::vector<std::string>& before, const std::vector<std::string>& behind, const json& vocab) {
  json single = json::array(), specials = json::object();
  const auto append = [&](const std::string& token) {
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    specials[token] = {
        {"id", token}, {"ids", json::array({vocab.value(token, json(-1))})}, {"tokens", json::array({token})}};
  };
  for (const std::string& token : before) append(token);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const std::string& token : behind) append(token);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", json::array()}, {"special_tokens", specials}};
}

json gpt2_document(const SideFiles& files, json model) {
  const vit::JsonObject config = files.config.object();
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", config.get_bool("add_prefix_space", false)},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  json document = {{"normalizer", nullptr},
                   {"pre_tokenizer", byte_level},
                   {"post_processor", nullptr},
                   {"decoder", byte_level},
                   {"model", std::move(model)}};
  if (config.get_bool("add_bos_token", false))
    document["post_processor"] =
        template_of({role_or(files, "bos_token", "<|endoftext|>")}, {}, document["model"]["vocab"]);
  add_defaults({"<|endoftext|>"}, document);
  return document;
}

json bpe_document(const fs::path& folder, const SideFiles& files) {
  json vocab = parse_file(folder / "vocab.json");
  const vit::JsonObject entries(vocab, (folder / "vocab.json").string());
  bool clip = false;
  for (const auto& [token, id] : entries.raw().items()) clip = clip || token.ends_with("</w>");
  json merges = read_merges(folder / "merges.txt", vocab);
  json model = {{"type", "BPE"}, {"vocab", std::move(vocab)}, {"merges", std::move(merges)}};
  const std::string name = class_of(files);
  if (!name.empty() && name != "PreTrainedTokenizer") {
    if (name != "CLIPTokenizer" && name != "GPT2Tokenizer")
      files.config.object().refuse("tokenizer_class",
                                   "GPT2Tokenizer or CLIPTokenizer for vocab.json and merges.txt (others need their "
                                   "tokenizer.json)");
    clip = name == "CLIPTokenizer";
  }
  return clip ? clip_document(files, std::move(model)) : gpt2_document(files, std::move(model));
}

json word_piece_document(const fs::path& path, const SideFiles& files) {
  static const std::set<std::string> kClasses = {"", "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                                 "PreTrainedTokenizer"};
  const vit::JsonObject config = files.config.object();
  if (kClasses.count(class_of(files)) == 0)
    config.refuse("tokenizer_class", "BertTokenizer for vocab.txt (others need their tokenizer.json)");
  const std::vector<std::string> lines = read_lines(path);
  json vocab = json::object();
  for (size_t i = 0; i < lines.size(); ++i) {
    if (vocab.contains(lines[i]))
      vit::fail_usage(path.string(), ": line ", i + 1, ": '", lines[i].substr(0, 80), "' stands in line ",
                      vocab[lines[i]].get<int64_t>() + 1, ", too");
    vocab[lines[i]] = i;
  }
  const bool basic = config.get_bool("do_basic_tokenize", true);
  json normalizer = {{"type", "BertNormalizer"},
                     {"clean_text", true},
                     {"handle_chinese_chars", config.get_bool("tokenize_chinese_chars", true)},
                     {"strip_accents", nullptr},
                     {"lowercase", config.get_bool("do_lower_case", true)}};
  if (config.has("strip_accents")) normalizer["strip_accents"] = config.get_bool("strip_accents", false);
  json post = template_of({role_or(files, "cls_token", "[CLS]")}, {role_or(files, "sep_token", "[SEP]")}, vocab);
  json document = {{"normalizer", basic ? std::move(normalizer) : json()},
                   {"pre_tokenizer", {{"type", basic ? "BertPreTokenizer" : "WhitespaceSplit"}}},
                   {"post_processor", std::move(post)},
                   {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
                   {"model",
                    {{"type", "WordPiece"},
                     {"unk_token", role_or(files, "unk_token", "[UNK]")},
                     {"continuing_subword_prefix", "##"},
                     {"max_input_chars_per_word", 100},
                     {"vocab", std::move(vocab)}}}};
  add_defaults({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, document);
  return document;
}

/// What tokenizer_config.json says goes before the tokenizer.json, as in transformers.
void apply_config(const vit::JsonObject& config, json& document, const std::string& where) {
  const vit::JsonObject top(document, where);
  const auto type_of = [&](const char* part) { return top.get_object(part).get_string("type", ""); };
  if (type_of("normalizer") == "BertNormalizer") {
    json& normalizer = document["normalizer"];
    if (config.has("do_lower_case")) normalizer["lowercase"] = config.get_bool("do_lower_case", true);
    if (config.has("tokenize_chinese_chars"))
      normalizer["handle_chinese_chars"] = config.get_bool("tokenize_chinese_chars", true);
    if (config.has("strip_accents")) normalizer["strip_accents"] = config.get_bool("strip_accents", false);
  }
  if (type_of("pre_tokenizer") == "ByteLevel" && config.has("add_prefix_space"))
    document["pre_tokenizer"]["add_prefix_space"] = config.get_bool("add_prefix_space", false);
}

}  // namespace

TokenizerDocuments read_tokenizer_folder(const fs::path& folder) {
  const SideFiles files{read_side_file(folder / "tokenizer_config.json"),
                        read_side_file(folder / "special_tokens_map.json"),
                        read_side_file(folder / "added_tokens.json")};
  TokenizerDocuments result;
  if (fs::exists(folder / "tokenizer.json")) {
    result.where = (folder / "tokenizer.json").string();
    result.document = parse_file(folder / "tokenizer.json");
    apply_config(files.config.object(), result.document, result.where);
  } else if (fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt")) {
    result.where = (folder / "vocab.json").string();
    result.document = bpe_document(folder, files);
  } else if (fs::exists(folder / "vocab.txt")) {
    result.where = (folder / "vocab.txt").string();
    result.document = word_piece_document(folder / "vocab.txt", files);
  } else {
    vit::fail_usage(folder.string(),
                    ": no tokenizer: neither tokenizer.json nor vocab.json with merges.txt nor "
                    "vocab.txt is there");
  }
  add_tokens(files, result.where, result.document, result.config);
  const vit::JsonObject config = files.config.object();
  if (config.has("clean_up_tokenization_spaces"))
    result.config["clean_up_tokenization_spaces"] = config.get_bool("clean_up_tokenization_spaces", false);
  const std::string name = config.get_string("tokenizer_class", "");
  if (!name.empty()) result.config["tokenizer_class"] = name;
  return result;
}

}  // namespace captioning
