#include "captioning/reference.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string_view>

#include "captioning/generation_config.h"
#include "captioning/model.h"
#include "vit/io/json.h"
#include "vit/io/safetensors.h"

namespace captioning {

namespace {

using vit::check;
using vit::Context;
using vit::Tensor;

/// The parts of "gen.beam4.sequences" and "gen_prompt.beam4.scores".
struct GeneratedName {
  bool prompt = false;
  std::string settings;
  std::string kind;
};

std::optional<GeneratedName> parse_generated_name(const std::string& name) {
  static const std::regex pattern(R"(gen(_prompt)?\.(.+)\.(sequences|scores))");
  std::smatch found;
  if (!std::regex_match(name, found, pattern)) return std::nullopt;
  return GeneratedName{found[1].matched, found[2], found[3]};
}

std::vector<int64_t> row_ids(const Tensor& ids, int64_t row) {
  const int64_t length = ids.size(1);
  const auto* first = ids.data<int64_t>() + row * length;
  return {first, first + length};
}

const Tensor& input_of(const vit::ReferenceRun& run, const std::string& name) {
  const auto found = run.inputs.find(name);
  check(found != run.inputs.end(), "there is no tensor '", name, "' for the outputs that need it");
  return found->second;
}

/// Generates for the names that are wanted, with the settings of the case.
class GeneratedRun {
 public:
  GeneratedRun(Context& ctx, const CaptionModel& model, const Tensor& encoded, const vit::ReferenceRun& run)
      : ctx_(ctx), model_(model), encoded_(encoded), run_(run) {
    const auto text = run.inputs.find("case.json");
    if (text == run.inputs.end()) return;
    const auto* bytes = static_cast<const char*>(text->second.raw());
    case_ = vit::parse_json(std::string_view(bytes, static_cast<size_t>(text->second.numel())), "case.json");
  }

  void observe(const std::string& name, const GeneratedName& parts) {
    const GenerationConfig config = settings(name, parts);
    std::vector<Sequence> all;
    for (int64_t p = 0; p < encoded_.size(0); ++p) {
      std::vector<int64_t> prompt;
      if (parts.prompt) prompt = model_.prompt_ids(row_ids(input_of(run_, "prompt_ids"), p));
      auto captions = generate(ctx_, model_, encoded_.slice(p, p + 1), prompt, config);
      for (Sequence& one : captions.front()) all.push_back(std::move(one));
    }
    ctx_.observe(name,
                 parts.kind == "scores" ? scores(all) : padded(all, config.pad.value_or(model_.start_and_end().pad)));
  }

 private:
  GenerationConfig settings(const std::string& name, const GeneratedName& parts) const {
    GenerationConfig config;
    if (!case_.is_null()) {
      const vit::JsonObject json =
          vit::JsonObject(case_, "case.json").get_object("gen_kwargs").get_object(parts.settings);
      read_generation_options(json, config);
      read_generation_ids(json, config);
    }
    // A caption that was cut off tells where its author's limit was, where nothing else does; of a prompt only the
    // case's author knows whether the limit counts its tokens.
    if (config.max_new_tokens && !parts.prompt) return config;
    const std::string sequences = name.substr(0, name.rfind('.')) + ".sequences";
    if (const auto found = run_.inputs.find(sequences); found != run_.inputs.end() && is_cut(found->second, config)) {
      config.max_length = found->second.size(1);
      config.max_new_tokens.reset();
    }
    return config;
  }

  bool is_cut(const Tensor& sequences, const GenerationConfig& config) const {
    const StartAndEnd own = model_.start_and_end();
    const std::vector<int64_t> ends = config.ends.value_or(own.ends);
    for (int64_t row = 0; row < sequences.size(0); ++row) {
      const int64_t last = row_ids(sequences, row).back();
      const bool ended = std::find(ends.begin(), ends.end(), last) != ends.end();
      if (!ended && last != config.pad.value_or(own.pad)) return true;
    }
    return false;
  }

  static Tensor scores(const std::vector<Sequence>& all) {
    Tensor values = Tensor::empty({static_cast<int64_t>(all.size())});
    for (size_t i = 0; i < all.size(); ++i) values.f32()[i] = static_cast<float>(all[i].score);
    return values;
  }

  static Tensor padded(const std::vector<Sequence>& all, int64_t pad) {
    size_t length = 0;
    for (const Sequence& one : all) length = std::max(length, one.ids.size());
    Tensor ids = Tensor::empty({static_cast<int64_t>(all.size()), static_cast<int64_t>(length)}, vit::DType::i64);
    std::fill_n(ids.data<int64_t>(), ids.numel(), pad);
    for (size_t i = 0; i < all.size(); ++i)
      std::copy(all[i].ids.begin(), all[i].ids.end(), ids.data<int64_t>() + i * length);
    return ids;
  }

  Context& ctx_;
  const CaptionModel& model_;
  const Tensor& encoded_;
  const vit::ReferenceRun& run_;
  nlohmann::json case_;
};

/// Logits of captions under a name, from ids (and a mask) under others.
void observe_logits(Context& ctx, const CaptionModel& model, const Tensor& encoded, const vit::ReferenceRun& run,
                    const std::string& name, const std::string& ids, const std::string& mask) {
  if (std::find(run.wanted.begin(), run.wanted.end(), name) == run.wanted.end()) return;
  const Tensor chosen = mask.empty() ? Tensor() : input_of(run, mask);
  ctx.observe(name, model.logits(ctx, encoded, input_of(run, ids), chosen).value());
}

}  // namespace

const std::map<std::string, vit::ReferenceOutput>& caption_reference_names() {
  static const std::map<std::string, vit::ReferenceOutput> names = {
      {"logits", "logits"},
      {"logits_masked", "logits_masked"},
      {"encoder_last_hidden_state", "encoder.features"},
      {"vision_last_hidden_state", "encoder.features"},
      {"image_embeds", "image_embeds"},
      {"decoder_hidden_states.{i}", "decoder.hidden.{i}"},
      {"gen.{t}.sequences", "gen.{t}.sequences"},
      {"gen.{t}.scores", "gen.{t}.scores"},
      {"gen_prompt.{t}.sequences", "gen_prompt.{t}.sequences"},
      {"gen_prompt.{t}.scores", "gen_prompt.{t}.scores"}};
  return names;
}

void CaptionModel::run_reference(Context& ctx, const vit::ReferenceRun& run) const {
  const Tensor encoded = encode(ctx, run.inputs.at("input")).value();
  ctx.observe("image_embeds", encoded);
  // The masked pass first: intermediates that both passes have are those of the last.
  observe_logits(ctx, *this, encoded, run, "logits_masked", "forced_ids", "forced_attention_mask");
  observe_logits(ctx, *this, encoded, run, "logits", "forced_ids", "");
  GeneratedRun generated(ctx, *this, encoded, run);
  for (const std::string& name : run.wanted)
    if (const auto parts = parse_generated_name(name)) generated.observe(name, *parts);
}

std::vector<std::string> CaptionModel::reference_inputs() const {
  return {"forced_ids", "forced_attention_mask", "prompt_ids", "case.json"};
}

}  // namespace captioning
