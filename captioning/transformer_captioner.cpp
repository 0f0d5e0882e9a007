#include "captioning/transformer_captioner.h"

#include <cmath>
#include <limits>
#include <utility>

#include "captioning/fan_in.h"
#include "vit/autograd/observed.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/core/check.h"
#include "vit/models/build.h"

namespace captioning {

using vit::Context;
using vit::Scope;
using vit::Tensor;
using vit::Var;

namespace {

constexpr float kNormEps = 1e-5f;
constexpr float kEmbeddingStd = 0.05f;

/// Hides what comes later from `count` words behind `before` others: [1, 1, count, before + count]; undefined for one.
Tensor causal_mask(int64_t before, int64_t count) {
  if (count == 1) return {};
  Tensor mask = Tensor::zeros({1, 1, count, before + count});
  for (int64_t t = 0; t < count; ++t)
    for (int64_t s = before + t + 1; s < before + count; ++s)
      mask.f32()[t * (before + count) + s] = -std::numeric_limits<float>::infinity();
  return mask;
}

class TransformerState : public DecoderState {
 public:
  TransformerState(PictureRows rows, size_t blocks) : past(blocks), rows_(std::move(rows)) {}

  int64_t rows() const override { return rows_.rows(); }
  int64_t length() const override { return past[0].defined() ? past[0].size(1) : 0; }
  void select(const std::vector<int64_t>& parents) override {
    rows_.select(parents);
    for (Var& block : past)
      if (block.defined()) block = selected_rows(block.value(), parents);
  }
  const Tensor& memory() const { return rows_.memory(); }

  std::vector<Var> past;  ///< keys and values of the words so far, per block

 private:
  PictureRows rows_;
};

}  // namespace

CaptionerBlock::CaptionerBlock(const TransformerCaptionerConfig& config)
    : dim_(config.d_model),
      heads_(config.decoder_attention_heads),
      dropout_(config.dropout),
      norm1_(vit::NormKind::layer_norm, dim_, kNormEps),
      norm2_(vit::NormKind::layer_norm, dim_, kNormEps),
      norm3_(vit::NormKind::layer_norm, dim_, kNormEps),
      qkv_(dim_, 3 * dim_, true, fan_in(dim_)),
      proj_(dim_, dim_),
      attention_(build_word_attention(config.attention,
                                      {.dim = dim_, .num_heads = config.num_heads, .memory_dim = dim_}, "cross")),
      mlp_({.dim = dim_, .hidden = config.decoder_ffn_dim}) {
  if (dim_ % heads_ != 0) vit::fail_usage("d_model ", dim_, " must be divisible by decoder_attention_heads ", heads_);
  start_with_fan_in(*attention_);
  add_module("norm1", norm1_);
  add_module("qkv", qkv_);
  add_module("proj", proj_);
  add_module("norm2", norm2_);
  add_module("attn", *attention_);
  add_module("norm3", norm3_);
  add_module("mlp", mlp_);
}

Var CaptionerBlock::among_words(Context& ctx, const Var& x, Var& past) const {
  const Var qkv = qkv_.forward(ctx, x);
  const Var news = vit::slice_features(ctx, qkv, dim_, 3 * dim_);
  past = past.defined() ? vit::concat_tokens(ctx, past, news) : news;
  const int64_t before = past.size(1) - x.size(1), head_dim = dim_ / heads_;
  const vit::AttentionOptions options{.heads = heads_,
                                      .head_dim = head_dim,
                                      .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
                                      .bias = causal_mask(before, x.size(1))};
  const auto mixed = [&] {
    Scope scope(ctx, "self_attn");
    return vit::observed_attention(ctx, {qkv, 0}, {past, 0}, {past, dim_}, options);
  };
  return proj_.forward(ctx, mixed());
}

Var CaptionerBlock::at_regions(Context& ctx, const Var& x, const Var& regions,
                               const std::vector<vit::Grid>& grids) const {
  const int64_t rows = x.size(0), words = x.size(1), groups = regions.size(0);
  if (rows == groups) {
    Scope scope(ctx, "attn");
    return attention_->forward(ctx, x, {.memory = regions, .memory_grids = grids});
  }
  // Several captions of a picture ask together.
  const Var queries = vit::reshape(ctx, x, {groups, rows / groups * words, dim_});
  Tensor probs;
  const Var seen = looked(
      ctx, ctx.wants("attn.probs"),
      [&] { return attention_->forward(ctx, queries, {.memory = regions, .memory_grids = grids}); }, probs);
  if (probs.defined()) ctx.observe("attn.probs", by_row(probs, rows, words));
  return vit::reshape(ctx, seen, {rows, words, dim_});
}

Var CaptionerBlock::forward(Context& ctx, const Var& x, const Var& regions, const std::vector<vit::Grid>& grids,
                            Var& past) const {
  const auto plus = [&](const Var& residual, const Var& branch) {
    return vit::add(ctx, residual, vit::dropout(ctx, branch, dropout_));
  };
  const Var told = plus(x, among_words(ctx, norm1_.forward(ctx, x), past));
  const Var seen = plus(told, at_regions(ctx, norm2_.forward(ctx, told), regions, grids));
  return mlp_.forward(ctx, norm3_.forward(ctx, seen), {.residual = seen}, dropout_);
}

TransformerCaptioner::TransformerCaptioner(const TransformerCaptionerConfig& config, const std::string& name)
    : RegionCaptioner(config, config.d_model, name),
      config_(config),
      norm_(vit::NormKind::layer_norm, config.d_model, kNormEps) {
  add_parameter("word_embeddings.weight", word_embeddings_, {config.vocab_size, config.d_model},
                vit::Init::normal(kEmbeddingStd));
  add_parameter("position_embeddings.weight", position_embeddings_, {config.max_positions, config.d_model},
                vit::Init::normal(kEmbeddingStd));
  for (int64_t i = 0; i < config.decoder_layers; ++i) add_module(vit::str("decoder.", i), blocks_.emplace_back(config));
  add_module("norm", norm_);
  add_parameter("output_bias", output_bias_, {config.vocab_size}, vit::Init::zeros());
}

std::vector<std::string> TransformerCaptioner::replace_vocabulary() {
  word_embeddings_.shape = {vocab_size(), config_.d_model};
  output_bias_.shape = {vocab_size()};
  word_embeddings_.value = {};
  output_bias_.value = {};
  return {"word_embeddings.weight", "output_bias"};
}

Var TransformerCaptioner::decode(Context& ctx, const Var& regions, const Tensor& ids, int64_t length,
                                 std::vector<Var>& past) const {
  const int64_t count = ids.size(1);
  if (length + count > config_.max_positions)
    vit::fail_usage(info_.name, ": ", length + count, " tokens are more than the model has positions, ",
                    config_.max_positions);
  const Var words = vit::embedding(ctx, word_embeddings_.value, ids);
  const Var places = vit::reshape(ctx, vit::slice_rows(ctx, position_embeddings_.value, length, length + count),
                                  {1, count, config_.d_model});
  Var x = vit::dropout(ctx, vit::add(ctx, words, places), config_.dropout);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    Scope scope(ctx, "decoder", static_cast<int64_t>(i));
    x = blocks_[i].forward(ctx, x, regions, grids(), past[i]);
  }
  const vit::PackedWeight unpacked;
  const Var logits = vit::linear(ctx, norm_.forward(ctx, x), {word_embeddings_.value, unpacked}, output_bias_.value);
  ctx.observe("logits", logits.value());
  return logits;
}

Var TransformerCaptioner::logits(Context& ctx, const Var& encoded, const Tensor& ids, const Tensor& /*mask*/) const {
  check_ids(encoded, ids, encoded.size(0));
  std::vector<Var> past(blocks_.size());
  return decode(ctx, encoded, ids, 0, past);
}

std::unique_ptr<DecoderState> TransformerCaptioner::begin(Context&, const Tensor& encoded,
                                                          int64_t rows_per_picture) const {
  return std::make_unique<TransformerState>(PictureRows(encoded, rows_per_picture), blocks_.size());
}

Tensor TransformerCaptioner::step(Context& ctx, DecoderState& state, const Tensor& ids) const {
  auto& own = dynamic_cast<TransformerState&>(state);
  check_ids(own.memory(), ids, own.rows());
  const Var logits = decode(ctx, own.memory(), ids, own.length(), own.past);
  return vit::select_token(ctx, logits, logits.size(1) - 1).value();
}

WordAttention TransformerCaptioner::word_attention(int64_t layer) const {
  vit::check(0 <= layer && layer < config_.decoder_layers, info_.name, ": there is no attention layer ", layer);
  return {.name = vit::str("decoder.", layer, ".attn.probs"), .grids = grids()};
}

vit::ConfigNode TransformerCaptioner::describe() const {
  TransformerCaptionerConfig now = config_;
  static_cast<RegionCaptionerConfig&>(now) = shared();
  return vit::write_config(now).with("type", vit::ConfigNode::make_scalar("transformer_captioner", true));
}

namespace {

std::unique_ptr<vit::ImageModel> build_transformer_captioner(const vit::ConfigNode& options, const std::string& name) {
  return std::make_unique<TransformerCaptioner>(vit::read_config<TransformerCaptionerConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered =
    vit::model_registry().add("transformer_captioner", build_transformer_captioner);

}  // namespace

}  // namespace captioning
