#include "captioning/bpe_training.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <queue>
#include <set>
#include <unordered_map>
#include <utility>

#include "captioning/byte_alphabet.h"
#include "captioning/normalizer.h"
#include "captioning/pre_tokenizer.h"
#include "captioning/unicode.h"
#include "vit/core/check.h"
#include "vit/io/json.h"

namespace captioning {

using nlohmann::json;

namespace {

constexpr std::array<const char*, 4> kSpecial = {"<pad>", "<bos>", "<eos>", "<unk>"};

using Pair = std::pair<int64_t, int64_t>;

struct Word {
  std::vector<int64_t> tokens;
  int64_t count = 0;
};

/// Texts are sentences: white space is one space and none at the ends, and the first word is a word like the others.
json normalizer_json(bool lower_case) {
  json steps = json::array();
  steps.push_back({{"type", "NFC"}});
  steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}});
  steps.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
  if (lower_case) steps.push_back({{"type", "Lowercase"}});
  return {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

json byte_level_json() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
}

json template_json() {
  const auto special = [](const char* token) -> json { return {{"SpecialToken", {{"id", token}, {"type_id", 0}}}}; };
  const auto ids = [](const char* token, int id) -> json {
    return {{"id", token}, {"ids", json::array({id})}, {"tokens", json::array({token})}};
  };
  json single = json::array();
  single.push_back(special(kSpecial[1]));
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  single.push_back(special(kSpecial[2]));
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", json::array()},
          {"special_tokens", {{kSpecial[1], ids(kSpecial[1], 1)}, {kSpecial[2], ids(kSpecial[2], 2)}}}};
}

/// Learns merges: counts of pairs, and the words in which a pair stands.
class Trainer {
 public:
  /// Words with their counts, sorted.
  Trainer(const std::map<std::string, int64_t>& counts, const BpeTrainingOptions& options) : options_(options) {
    std::array<bool, 256> occurs{};
    for (const auto& [word, count] : counts)
      for (char byte : word) occurs[static_cast<uint8_t>(byte)] = true;
    for (const char* token : kSpecial) tokens_.emplace_back(token);
    std::array<int64_t, 256> id_of_byte{};
    for (size_t byte = 0; byte < 256; ++byte) {
      if (!options.all_bytes && !occurs[byte]) continue;
      id_of_byte[byte] = static_cast<int64_t>(tokens_.size());
      tokens_.push_back(byte_alphabet()[byte]);
    }
    if (static_cast<int64_t>(tokens_.size()) > options.vocab_size)
      vit::fail_usage("a vocabulary of ", options.vocab_size, " tokens has no room for ", kSpecial.size(),
                      " special tokens and ", tokens_.size() - kSpecial.size(), " bytes");
    for (const auto& [word, count] : counts) {
      Word entry{.tokens = {}, .count = count};
      for (char byte : word) entry.tokens.push_back(id_of_byte[static_cast<uint8_t>(byte)]);
      words_.push_back(std::move(entry));
    }
  }

  void run() {
    for (size_t i = 0; i < words_.size(); ++i) count_pairs(i, 1);
    propose_changed();
    std::set<std::string> known(tokens_.begin(), tokens_.end());
    while (static_cast<int64_t>(tokens_.size()) < options_.vocab_size && !candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      if (counts_[best.pair] != best.count) continue;  // an entry with its present count is in the queue, too
      const std::string &left = tokens_[static_cast<size_t>(best.pair.first)],
                        &right = tokens_[static_cast<size_t>(best.pair.second)];
      // Two ways to one token would give it two numbers.
      if (!known.insert(left + right).second) continue;
      merges_.push_back(json::array({left, right}));
      tokens_.push_back(left + right);
      merge(best.pair, static_cast<int64_t>(tokens_.size()) - 1);
    }
  }

  json document() const {
    json vocab = json::object(), added = json::array();
    for (size_t i = 0; i < tokens_.size(); ++i) vocab[tokens_[i]] = i;
    for (size_t i = 0; i < kSpecial.size(); ++i)
      added.push_back({{"id", i},
                       {"content", kSpecial[i]},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", false},
                       {"special", true}});
    json decoders = json::array();
    decoders.push_back(byte_level_json());
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    return {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens", std::move(added)},
            {"normalizer", normalizer_json(options_.lower_case)},
            {"pre_tokenizer", byte_level_json()},
            {"post_processor", template_json()},
            {"decoder", {{"type", "Sequence"}, {"decoders", std::move(decoders)}}},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", kSpecial[3]},
              {"continuing_subword_prefix", ""},
              {"end_of_word_suffix", ""},
              {"fuse_unk", false},
              {"vocab", std::move(vocab)},
              {"merges", merges_}}}};
  }

 private:
  struct PairHash {
    size_t operator()(const Pair& pair) const {
      return std::hash<uint64_t>()((static_cast<uint64_t>(pair.first) << 32) | static_cast<uint64_t>(pair.second));
    }
  };
  struct Candidate {
    int64_t count = 0;
    Pair pair;
    /// The most frequent pair first; of equal ones that of the oldest tokens.
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void count_pairs(size_t word, int64_t sign) {
    const Word& entry = words_[word];
    for (size_t i = 0; i + 1 < entry.tokens.size(); ++i) {
      const Pair pair{entry.tokens[i], entry.tokens[i + 1]};
      counts_[pair] += sign * entry.count;
      changed_.insert(pair);
      if (sign > 0) where_[pair].insert(word);
    }
  }

  void propose_changed() {
    for (const Pair& pair : changed_)
      if (counts_[pair] >= std::max<int64_t>(options_.min_frequency, 1)) candidates_.push({counts_[pair], pair});
    changed_.clear();
  }

  void merge(const Pair& pair, int64_t token) {
    const std::set<size_t> words = std::move(where_[pair]);
    where_.erase(pair);
    for (size_t word : words) {
      count_pairs(word, -1);
      std::vector<int64_t>& tokens = words_[word].tokens;
      size_t kept = 0;
      for (size_t i = 0; i < tokens.size(); ++kept) {
        const bool here = i + 1 < tokens.size() && tokens[i] == pair.first && tokens[i + 1] == pair.second;
        tokens[kept] = here ? token : tokens[i];
        i += here ? 2 : 1;
      }
      tokens.resize(kept);
      count_pairs(word, 1);
    }
    counts_[pair] = 0;
    propose_changed();
  }

  BpeTrainingOptions options_;
  std::vector<std::string> tokens_;
  std::vector<Word> words_;
  std::unordered_map<Pair, int64_t, PairHash> counts_;
  std::unordered_map<Pair, std::set<size_t>, PairHash> where_;
  std::set<Pair> changed_;
  std::priority_queue<Candidate> candidates_;
  json merges_ = json::array();
};

/// The words of all texts, as the tokenizer will split them.
std::map<std::string, int64_t> count_words(const std::vector<std::string>& texts, bool lower_case) {
  const json normalizer_options = normalizer_json(lower_case), split_options = byte_level_json();
  const auto normalizer = make_normalizer(vit::JsonObject(normalizer_options, "normalizer"));
  const auto pre_tokenizer = make_pre_tokenizer(vit::JsonObject(split_options, "pre_tokenizer"));
  std::map<std::string, int64_t> counts;
  std::vector<std::u16string> words;
  for (const std::string& text : texts) {
    const std::u16string normal = normalizer->apply(to_utf16(text));
    if (normal.empty()) continue;
    words.clear();
    pre_tokenizer->split(normal, words);
    for (const std::u16string& word : words) ++counts[to_utf8(word)];
  }
  return counts;
}

}  // namespace

Tokenizer train_bpe(const std::vector<std::string>& texts, const BpeTrainingOptions& options) {
  const std::map<std::string, int64_t> counts = count_words(texts, options.lower_case);
  if (counts.empty()) vit::fail_usage("a vocabulary needs texts to learn from: all ", texts.size(), " are empty");
  Trainer trainer(counts, options);
  trainer.run();
  return Tokenizer::from_json(trainer.document().dump(), "the trained vocabulary");
}

}  // namespace captioning
