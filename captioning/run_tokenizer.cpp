#include "captioning/run_tokenizer.h"

#include <optional>
#include <utility>
#include <vector>

#include "captioning/bpe_training.h"
#include "vit/core/check.h"

namespace captioning {

Tokenizer learnt_tokenizer(const datasets::CaptionDataset& data, const TokenizerConfig& config) {
  std::vector<std::string> texts;
  for (int64_t i = 0; i < data.size(); ++i)
    for (std::string& caption : data.captions(i)) texts.push_back(std::move(caption));
  try {
    return train_bpe(texts, {.vocab_size = config.vocab_size,
                             .min_frequency = config.min_frequency,
                             .lower_case = config.lower_case,
                             .all_bytes = config.all_bytes});
  } catch (const vit::Error& error) {
    throw vit::Error(std::string("tokenizer: ") + error.what(), error.kind());
  }
}

void require_matching(const Tokenizer& tokenizer, const CaptionModel& model, const std::string& name) {
  if (tokenizer.size() > model.vocab_size())
    vit::fail_usage(name, " has ", tokenizer.size(), " tokens, the model ", model.info().name, " knows ",
                    model.vocab_size(), "; it is another model's");
  const StartAndEnd marks = model.start_and_end();
  const SpecialTokens& special = tokenizer.special();
  const std::vector<std::pair<const char*, std::pair<std::optional<int64_t>, int64_t>>> pairs = {
      {"start", {special.bos, marks.start}},
      {"end", {special.eos, marks.ends.at(0)}},
      {"padding", {special.pad, marks.pad}}};
  for (const auto& [what, ids] : pairs)
    if (ids.first && *ids.first != ids.second)
      vit::fail_usage(name, ": the token of the captions' ", what, " is ", *ids.first, ", the model ",
                      model.info().name, " has ", ids.second, " (bos_token_id, eos_token_id, pad_token_id)");
}

}  // namespace captioning
