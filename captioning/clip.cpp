#include "captioning/clip.h"

#include <algorithm>
#include <utility>

#include "captioning/checkpoint_encoder.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/models/build.h"

namespace captioning {

using vit::ConfigNode;
using vit::Context;
using vit::Scope;
using vit::Tensor;
using vit::Var;

namespace {

const ClipConfig& validated(const ClipConfig& config) {
  config.validate();
  return config;
}

std::unique_ptr<vit::Vit> build_tower(const ConfigNode& node) {
  std::unique_ptr<vit::Vit> tower = build_vision_transformer(node, "vision", "CLIP needs a `vision` tower");
  if (tower->config().prefix_tokens() == 0) node.refuse("`vision` must have a class token");
  return tower;
}

}  // namespace

void ClipConfig::validate() const {
  if (text.head || text.memory_dim != 0) vit::fail_usage("CLIP's text tower has no head and memory_dim 0");
}

Clip::Clip(const ClipConfig& config, const std::string& name)
    : config_(validated(config)),
      vision_(build_tower(config.vision)),
      text_(config.text),
      visual_projection_(vision_->config().embed_dim, config.projection_dim, false),
      text_projection_(config.text.embed_dim, config.projection_dim, false) {
  config_.vision = vision_->describe();
  const vit::ModelInfo& picture = vision_->info();
  info_ = {name, picture.input_size, picture.input_channels, 0};
  add_module("vision", *vision_);
  add_module("text", text_);
  add_module("visual_projection", visual_projection_);
  add_module("text_projection", text_projection_);
  // 1 / 0.07, which is where training starts (section 2.5).
  add_parameter("logit_scale", logit_scale_, {1}, vit::Init::constant(2.6592f));
}

Var Clip::encode_images(Context& ctx, const Var& images) const {
  Var pooled;
  {
    Scope scope(ctx, "vision");
    pooled = vit::select_token(ctx, vision_->forward_features(ctx, images), 0);
    ctx.observe("pooled", pooled.value());
  }
  Scope scope(ctx, "visual_projection");
  return vit::l2_normalize(ctx, visual_projection_.forward(ctx, pooled), -1);
}

int64_t Clip::pooled_place(const int64_t* ids, int64_t length) const {
  const int64_t* place =
      config_.pool_largest ? std::max_element(ids, ids + length) : std::find(ids, ids + length, config_.eos);
  vit::check(place != ids + length, info_.name, ": a text has no end (token ", config_.eos, ")");
  return place - ids;
}

Var Clip::encode_texts(Context& ctx, const Tensor& ids, const Tensor& mask) const {
  Var tokens;
  {
    Scope scope(ctx, "text");
    tokens = text_.features(ctx, ids, mask, {});
    ctx.observe("features", tokens.value());
  }
  const int64_t texts = ids.size(0), length = ids.size(1);
  Tensor places = Tensor::empty({texts, 1}, vit::DType::i64);
  for (int64_t i = 0; i < texts; ++i)
    places.data<int64_t>()[i] = pooled_place(ids.data<int64_t>() + i * length, length);
  const Var pooled = vit::select_token(ctx, vit::gather_tokens(ctx, tokens, places), 0);
  Scope scope(ctx, "text_projection");
  return vit::l2_normalize(ctx, text_projection_.forward(ctx, pooled), -1);
}

Var Clip::logits(Context& ctx, const Var& images, const Var& texts) const {
  const Var alike = vit::matmul(ctx, images, texts, {.transpose_b = true});
  return vit::multiply(ctx, alike, vit::exp(ctx, logit_scale_.value));
}

namespace {

/// Rows [begin, end), as long as the longest of them. What stands behind the end is seen by nobody that counts: words
/// look back only. Zero is never the largest id.
Tensor padded(const std::vector<std::vector<int64_t>>& rows, int64_t begin, int64_t end) {
  size_t width = 0;
  for (int64_t i = begin; i < end; ++i) width = std::max(width, rows[static_cast<size_t>(i)].size());
  Tensor ids = Tensor::zeros({end - begin, static_cast<int64_t>(width)}, vit::DType::i64);
  for (int64_t i = begin; i < end; ++i) {
    const std::vector<int64_t>& row = rows[static_cast<size_t>(i)];
    std::copy(row.begin(), row.end(), ids.data<int64_t>() + (i - begin) * static_cast<int64_t>(width));
  }
  return ids;
}

}  // namespace

void Clip::set_labels(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  if (texts.empty()) vit::fail_usage(info_.name, ": there is no label");
  std::vector<std::vector<int64_t>> rows;
  for (const std::string& text : texts) {
    rows.push_back(tokenizer.encode(text));
    if (static_cast<int64_t>(rows.back().size()) > config_.text.positions)
      vit::fail_usage(info_.name, ": the label '", text, "' has ", rows.back().size(),
                      " tokens with its marks, and the model ", config_.text.positions, " positions");
  }
  const auto count = static_cast<int64_t>(rows.size());
  labels_ = Tensor::empty({count, config_.projection_dim});
  constexpr int64_t kAtOnce = 64;  // bounds the memory
  Context ctx;
  for (int64_t first = 0; first < count; first += kAtOnce) {
    const Tensor vectors = encode_texts(ctx, padded(rows, first, std::min(count, first + kAtOnce)), {}).value();
    std::copy_n(vectors.f32(), vectors.numel(), labels_.f32() + first * config_.projection_dim);
  }
  info_.num_classes = count;
}

Var Clip::forward(Context& ctx, const Var& images) const {
  const Var vectors = encode_images(ctx, images);
  return labels_.defined() ? logits(ctx, vectors, labels_) : vectors;
}

const std::map<std::string, vit::ReferenceOutput>& Clip::reference_names() const {
  static const std::map<std::string, vit::ReferenceOutput> names = {{"logits_per_image", "logits_per_image"},
                                                                    {"logits_per_text", "logits_per_text"},
                                                                    {"image_embeds", "image_embeds"},
                                                                    {"text_embeds", "text_embeds"},
                                                                    {"probs", "probs"},
                                                                    {"vision_pooler_output", "vision.pooled"},
                                                                    {"text_last_hidden_state", "text.features"},
                                                                    {"vision_hidden_states.0", "vision.norm_pre"},
                                                                    {"vision_hidden_states.{i+1}", "vision.blocks.{i}"},
                                                                    {"text_hidden_states.{i}", "text.hidden.{i}"}};
  return names;
}

void Clip::run_reference(Context& ctx, const vit::ReferenceRun& run) const {
  const Var images = encode_images(ctx, run.inputs.at("input"));
  ctx.observe("image_embeds", images.value());
  const auto ids = run.inputs.find("input_ids");
  if (ids == run.inputs.end()) return;
  const auto mask = run.inputs.find("attention_mask");
  const Var texts = encode_texts(ctx, ids->second, mask == run.inputs.end() ? Tensor() : mask->second);
  const Var per_image = logits(ctx, images, texts);
  ctx.observe("text_embeds", texts.value());
  ctx.observe("logits_per_image", per_image.value());
  ctx.observe("logits_per_text", vit::permute(ctx, per_image, {1, 0}).value());
  ctx.observe("probs", vit::softmax(ctx, per_image).value());
}

ConfigNode Clip::describe() const {
  return vit::write_config(config_).with("type", ConfigNode::make_scalar("clip", true));
}

void Clip::set_training(const vit::TrainingOptions& options) {
  vision_->set_training(options);
  text_.set_training(options);
}

std::vector<std::string> Clip::replace_head(int64_t) {
  vit::fail_usage(info_.name, ": CLIP has no head; its classes are texts (vitkit classify --labels)");
}

void Clip::set_input_size(int64_t height, int64_t width) {
  vision_->set_input_size(height, width);
  config_.vision = vision_->describe();
  info_.input_size = vision_->info().input_size;
}

Tensor Clip::adapt_parameter(const std::string& name, const vit::Shape& expected, Tensor found) const {
  // The library has the class token and the tables without the first axis, and the scale without any.
  if (found.numel() == expected.numel() && found.rank() < expected.rank()) return vit::to_f32(found).view(expected);
  constexpr std::string_view kVision = "vision.";
  if (!name.starts_with(kVision)) return found;
  return vision_->adapt_parameter(name.substr(kVision.size()), expected, std::move(found));
}

namespace {

[[maybe_unused]] const bool kRegistered =
    vit::model_registry().add("clip", [](const ConfigNode& options, const std::string& name) {
      return std::make_unique<Clip>(vit::read_config<ClipConfig>(options), name);
    });

}  // namespace

}  // namespace captioning
