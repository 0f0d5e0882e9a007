#include "captioning/region_captioner.h"

#include <algorithm>

#include "vit/core/check.h"

namespace captioning {

using vit::Context;
using vit::Tensor;
using vit::Var;

namespace {

/// Keeps the probabilities of one pass of a mechanism.
class ProbsKeeper : public vit::Observer {
 public:
  bool wants(const std::string& name) override { return name == "probs" || name.ends_with(".probs"); }
  void observe(const std::string&, const Tensor& value) override { probs = value.clone(); }
  Tensor probs;
};

/// Puts an observer into a context for the lifetime of the object.
class ObserverInstead {
 public:
  ObserverInstead(Context& ctx, vit::Observer* observer) : ctx_(ctx), before_(ctx.observer) { ctx.observer = observer; }
  ~ObserverInstead() { ctx_.observer = before_; }
  ObserverInstead(const ObserverInstead&) = delete;
  ObserverInstead& operator=(const ObserverInstead&) = delete;

 private:
  Context& ctx_;
  vit::Observer* before_;
};

}  // namespace

Var looked(Context& ctx, bool wanted, const std::function<Var()>& look, Tensor& probs) {
  ProbsKeeper keeper;
  Var seen;
  {
    const ObserverInstead instead(ctx, wanted ? &keeper : nullptr);
    seen = look();
  }
  probs = keeper.probs;
  return seen;
}

Tensor by_row(const Tensor& probs, int64_t rows, int64_t words) {
  if (!probs.defined()) return {};
  const int64_t groups = probs.size(0), heads = probs.size(1), entries = probs.size(3), each = rows / groups;
  Tensor result = Tensor::empty({rows, heads, words, entries});
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t h = 0; h < heads; ++h) {
      const float* from = probs.f32() + (((row / each) * heads + h) * each + row % each) * words * entries;
      std::copy(from, from + words * entries, result.f32() + (row * heads + h) * words * entries);
    }
  return result;
}

void RegionCaptionerConfig::validate() const {
  const std::array<std::pair<const char*, int64_t>, 3> ids = {
      {{"bos_token_id", bos_token_id}, {"eos_token_id", eos_token_id}, {"pad_token_id", pad_token_id}}};
  for (const auto& [name, id] : ids)
    if (id < 0 || id >= vocab_size)
      vit::fail_usage(name, " ", id, " is no token of a vocabulary of ", vocab_size, " (vocab_size)");
  if (bos_token_id == eos_token_id)
    vit::fail_usage("bos_token_id and eos_token_id must differ, both are ", eos_token_id);
}

RegionCaptioner::RegionCaptioner(const RegionCaptionerConfig& config, int64_t region_dim, const std::string& name)
    : shared_(config),
      regions_({.backbone = config.backbone,
                .img_size = config.img_size,
                .backbone_maps = config.backbone_maps,
                .dim = region_dim}) {
  config.validate();
  info_ = {name, config.img_size, regions_.backbone().info().input_channels, 0};
  add_module("", regions_);
}

std::unique_ptr<vit::Attention> build_word_attention(const vit::ConfigNode& node, const vit::AttentionShape& shape,
                                                     const std::string& fallback) {
  std::unique_ptr<vit::Attention> attention = vit::build_attention(node, shape, fallback);
  const std::string type = vit::split_type(node, fallback).type;
  const vit::AttentionTraits& traits = vit::attention_registry().find(type).traits;
  if (!traits.needs_memory && traits.family != vit::AttentionFamily::decoder)
    node.refuse("attention '" + type +
                "' looks at its own tokens, and words are to look at the picture: take additive, "
                "multiplicative, cross, hard or hierarchical");
  return attention;
}

Var RegionCaptioner::encode(Context& ctx, const Var& images) const { return regions_.forward(ctx, images); }

Var RegionCaptioner::forward(Context& ctx, const Var& images) const { return encode(ctx, images); }

StartAndEnd RegionCaptioner::start_and_end() const {
  return {.start = shared_.bos_token_id, .ends = {shared_.eos_token_id}, .pad = shared_.pad_token_id};
}

const std::map<std::string, vit::ReferenceOutput>& RegionCaptioner::reference_names() const {
  static const std::map<std::string, vit::ReferenceOutput> names = {{"regions", "regions"}};
  return names;
}

void RegionCaptioner::set_training(const vit::TrainingOptions& options) { regions_.backbone().set_training(options); }

std::vector<std::string> RegionCaptioner::replace_head(int64_t num_classes) {
  RegionCaptionerConfig changed = shared_;
  changed.vocab_size = num_classes;
  changed.validate();
  shared_ = changed;
  return replace_vocabulary();
}

void RegionCaptioner::set_input_size(int64_t height, int64_t width) {
  regions_.set_input_size(height, width);
  shared_.img_size = info_.input_size = {height, width};
}

void RegionCaptioner::check_ids(const Var& encoded, const Tensor& ids, int64_t rows) const {
  vit::check(ids.dtype() == vit::DType::i64 && ids.rank() == 2 && ids.size(0) == rows && ids.size(1) > 0, info_.name,
             ": the captions must be i64 [", rows, ", T], got ", name_of(ids.dtype()), " ", ids.shape());
  int64_t cells = 0;
  for (const vit::Grid& grid : grids()) cells += grid.count();
  vit::check(encoded.value().rank() == 3 && encoded.size(1) == cells, info_.name, ": expected regions [B, ", cells,
             ", C], got ", encoded.shape());
  for (const int64_t id : ids.span<int64_t>())
    vit::check(0 <= id && id < shared_.vocab_size, info_.name, ": token ", id, " is outside of the vocabulary of ",
               shared_.vocab_size);
}

}  // namespace captioning
