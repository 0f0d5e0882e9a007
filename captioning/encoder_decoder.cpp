#include "captioning/encoder_decoder.h"

#include <algorithm>
#include <utility>

#include "captioning/checkpoint_encoder.h"
#include "captioning/reference.h"
#include "vit/models/build.h"

namespace captioning {

using vit::ConfigNode;
using vit::Context;
using vit::Scope;
using vit::Tensor;
using vit::Var;

namespace {

const EncoderDecoderConfig& validated(const EncoderDecoderConfig& config) {
  config.validate();
  return config;
}

}  // namespace

void EncoderDecoderConfig::validate() const {
  const auto check_id = [&](const char* name, int64_t id) {
    if (id >= decoder.vocab_size)
      vit::fail_usage("`", name, "` ", id, " is not in the decoder's vocabulary of ", decoder.vocab_size);
  };
  check_id("start", start);
  check_id("pad", pad);
  for (const int64_t end : ends) check_id("ends", end);
}

EncoderDecoder::EncoderDecoder(const EncoderDecoderConfig& config, const std::string& name)
    : config_(validated(config)),
      encoder_(build_vision_transformer(config.encoder, "encoder", "a captioner needs an `encoder`")),
      decoder_(config.decoder) {
  config_.encoder = encoder_->describe();
  const int64_t width = encoder_->config().embed_dim;
  const int64_t memory = config.project ? config.decoder.embed_dim : width;
  if (config.decoder.memory_dim != memory)
    vit::fail_usage("decoder.memory_dim ", config.decoder.memory_dim, " must be ", memory,
                    config.project ? ", the decoder's own width, which `project` makes" : ", the encoder's width");
  const vit::ModelInfo& picture = encoder_->info();
  info_ = {name, picture.input_size, picture.input_channels, 0};
  add_module("encoder", *encoder_);
  if (config.project) add_module("projection", projection_.emplace(width, memory));
  add_module("decoder", decoder_);
}

Var EncoderDecoder::encode(Context& ctx, const Var& images) const {
  Var tokens;
  {
    Scope scope(ctx, "encoder");
    tokens = encoder_->forward_features(ctx, images);
    ctx.observe("features", tokens.value());
  }
  if (!projection_) return tokens;
  Scope scope(ctx, "projection");
  return projection_->forward(ctx, tokens);
}

Var EncoderDecoder::logits(Context& ctx, const Var& encoded, const Tensor& ids, const Tensor& mask) const {
  Scope scope(ctx, "decoder");
  return decoder_.predict(ctx, decoder_.features(ctx, ids, mask, encoded));
}

std::unique_ptr<DecoderState> EncoderDecoder::begin(Context& ctx, const Tensor& encoded,
                                                    int64_t rows_per_picture) const {
  return decoder_.begin(ctx, encoded, rows_per_picture);
}

Tensor EncoderDecoder::step(Context& ctx, DecoderState& state, const Tensor& ids) const {
  return decoder_.step(ctx, state, ids);
}

std::vector<int64_t> EncoderDecoder::prompt_ids(std::vector<int64_t> encoded) const {
  if (config_.prompt_replaces_first && !encoded.empty()) encoded.front() = config_.start;
  return CaptionModel::prompt_ids(std::move(encoded));
}

WordAttention EncoderDecoder::word_attention(int64_t layer) const {
  return {.name = vit::str("decoder.layers.", layer, ".cross_attn.probs"),
          .prefix_tokens = encoder_->config().prefix_tokens(),
          .grids = {encoder_->config().grid()}};
}

const std::map<std::string, vit::ReferenceOutput>& EncoderDecoder::reference_names() const {
  return caption_reference_names();
}

ConfigNode EncoderDecoder::describe() const {
  return vit::write_config(config_).with("type", ConfigNode::make_scalar("encoder_decoder", true));
}

void EncoderDecoder::set_training(const vit::TrainingOptions& options) {
  encoder_->set_training(options);
  decoder_.set_training(options);
}

std::vector<std::string> EncoderDecoder::replace_head(int64_t) {
  vit::fail_usage(info_.name, ": a captioner's head is its vocabulary; it cannot be given classes");
}

void EncoderDecoder::set_input_size(int64_t height, int64_t width) {
  encoder_->set_input_size(height, width);
  config_.encoder = encoder_->describe();
  info_.input_size = encoder_->info().input_size;
}

Tensor EncoderDecoder::adapt_parameter(const std::string& name, const vit::Shape& expected, Tensor found) const {
  constexpr std::string_view kEncoder = "encoder.";
  if (!name.starts_with(kEncoder)) return found;
  return encoder_->adapt_parameter(name.substr(kEncoder.size()), expected, std::move(found));
}

namespace {

[[maybe_unused]] const bool kRegistered =
    vit::model_registry().add("encoder_decoder", [](const ConfigNode& options, const std::string& name) {
      return std::make_unique<EncoderDecoder>(vit::read_config<EncoderDecoderConfig>(options), name);
    });

}  // namespace

}  // namespace captioning
