#include "captioning/tokenizer.h"

#include <utility>

#include "captioning/tokenizer_tables.h"
#include "captioning/unicode.h"
#include "vit/core/check.h"
#include "vit/io/json.h"

namespace captioning {

namespace {

void replace_with_space(std::string& text, const std::string& what) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    text.replace(at, what.size(), " ");
}

std::string stripped(const std::string& text) {
  const std::u16string wide = to_utf16(text);
  size_t begin = 0, end = wide.size();
  while (begin < end && is_space(wide[begin])) ++begin;
  while (end > begin && is_space(wide[end - 1])) --end;
  return to_utf8(std::u16string_view(wide).substr(begin, end - begin));
}

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

Tokenizer Tokenizer::load(const std::filesystem::path& folder) {
  TokenizerDocuments documents = read_tokenizer_folder(folder);
  return Tokenizer(
      std::make_shared<Tables>(std::move(documents.document), std::move(documents.config), documents.where));
}

Tokenizer Tokenizer::from_json(const std::string& text, const std::string& where) {
  nlohmann::json document =
      vit::parse_json(text, where, {.max_bytes = kMaxTokenizerBytes, .max_depth = kMaxTokenizerDepth});
  return Tokenizer(std::make_shared<Tables>(std::move(document), nlohmann::json::object(), where));
}

std::vector<int64_t> Tokenizer::encode(std::string_view text, bool special) const {
  const Tables& tables = *tables_;
  std::vector<int64_t> ids;
  if (special) ids = tables.post_processor.before;
  std::vector<std::u16string> words;
  const auto append_words = [&](const std::u16string& piece) {
    words.clear();
    if (tables.pre_tokenizer)
      tables.pre_tokenizer->split(piece, words);
    else
      words.push_back(piece);
    for (const std::u16string& word : words) tables.model->append(to_utf8(word), ids);
  };
  const std::u16string wide = to_utf16(text);
  for (const AddedTokens::Part& raw : tables.added->split(wide, false)) {
    if (raw.id >= 0) {
      ids.push_back(raw.id);
      continue;
    }
    std::u16string piece(raw.text);
    if (tables.normalizer) piece = tables.normalizer->apply(std::move(piece));
    for (const AddedTokens::Part& part : tables.added->split(piece, true)) {
      if (part.id >= 0)
        ids.push_back(part.id);
      else
        append_words(std::u16string(part.text));
    }
  }
  if (special) ids.insert(ids.end(), tables.post_processor.behind.begin(), tables.post_processor.behind.end());
  return ids;
}

std::string Tokenizer::decode(const std::vector<int64_t>& ids, bool skip_special) const {
  const Tables& tables = *tables_;
  std::vector<std::string> tokens;
  for (int64_t id : ids) {
    const std::string& token = tables.vocabulary.token(id);
    if (!skip_special || !is_special(id)) tokens.push_back(token);
  }
  if (tables.decoder) tables.decoder->apply(tokens);
  std::string text;
  for (const std::string& token : tokens) {
    if (!tables.decoder && &token != &tokens.front()) text += " ";
    text += token;
  }
  if (!tables.end_of_word.empty()) {
    replace_with_space(text, tables.end_of_word);
    text = stripped(text);
  }
  return tables.clean_up ? clean_up(std::move(text)) : text;
}

int64_t Tokenizer::size() const { return tables_->vocabulary.size(); }

std::optional<int64_t> Tokenizer::id(std::string_view token) const { return tables_->vocabulary.find(token); }

const std::string& Tokenizer::token(int64_t id) const { return tables_->vocabulary.token(id); }

const SpecialTokens& Tokenizer::special() const { return tables_->special; }

bool Tokenizer::is_special(int64_t id) const {
  return id >= 0 && id < size() && tables_->is_special[static_cast<size_t>(id)];
}

std::map<std::string, std::string> Tokenizer::files() const {
  return {{"tokenizer.json", tables_->document.dump()}, {"tokenizer_config.json", tables_->config.dump(2)}};
}

}  // namespace captioning
