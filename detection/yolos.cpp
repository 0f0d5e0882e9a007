#include "detection/yolos.h"

#include "detection/reference.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/models/attention_list.h"
#include "vit/models/build.h"
#include "vit/models/map_size.h"

namespace detection {

using vit::Context;
using vit::Scope;
using vit::Var;

namespace {

vit::BlockOptions block_options(const YolosConfig& config) {
  return {.dim = config.embed_dim,
          .norm_eps = config.norm_eps,
          .mlp = {.dim = config.embed_dim, .hidden = config.mlp_hidden_width(), .activation = config.act}};
}

const YolosConfig& validated(const YolosConfig& config) {
  config.validate();
  return config;
}

PredictionHeadOptions class_head_options(const YolosConfig& config) {
  return {.inputs = config.embed_dim, .hidden = config.embed_dim, .outputs = config.num_classes + 1};
}

}  // namespace

void YolosConfig::validate() const {
  if (embed_dim % num_heads != 0)
    vit::fail_usage("embed_dim ", embed_dim, " must be divisible by num_heads ", num_heads);
  if (img_size[0] < patch_size || img_size[1] < patch_size)
    vit::fail_usage("img_size ", img_size[0], " x ", img_size[1], " is smaller than a patch of ", patch_size, " x ",
                    patch_size);
  vit::check_map_size(img_size, grid(), vit::str("patches of ", patch_size, " x ", patch_size));
  if (mlp_hidden_width() < 1) vit::fail_usage("the MLP's hidden width of ", mlp_hidden_width(), " is not possible");
}

int64_t YolosConfig::mlp_hidden_width() const {
  return mlp_hidden.value_or(static_cast<int64_t>(static_cast<double>(embed_dim) * mlp_ratio));
}

Yolos::Yolos(const YolosConfig& config, const std::string& name)
    : config_(validated(config)),
      patch_embed_({.channels = config.in_chans,
                    .dim = config.embed_dim,
                    .patch_h = config.patch_size,
                    .patch_w = config.patch_size}),
      norm_(vit::NormKind::layer_norm, config.embed_dim, config.norm_eps),
      class_head_(class_head_options(config)),
      box_head_({.inputs = config.embed_dim, .hidden = config.embed_dim}) {
  const vit::Init init = vit::Init::truncated_normal(0.02f);
  const int64_t dim = config.embed_dim, rows = table_rows();
  info_ = {name, config.img_size, config.in_chans, config.num_classes};
  add_parameter("cls_token", cls_token_, {1, 1, dim}, init);
  add_parameter("det_token", det_token_, {1, config.num_queries, dim}, init);
  add_parameter("pos_embed", pos_embed_, {1, rows, dim}, init);
  if (config.mid_pos_embed && config.depth > 1)
    add_parameter("mid_pos_embed", mid_pos_embed_, {config.depth - 1, 1, rows, dim}, init);
  add_module("patch_embed", patch_embed_);
  add_blocks();
  add_module("norm", norm_);
  add_module("class_labels_classifier", *class_head_);
  add_module("bbox_predictor", box_head_);
}

void Yolos::add_blocks() {
  vit::check_attention_list(config_.attention, config_.depth, "depth");
  for (int64_t i = 0; i < config_.depth; ++i) {
    // The detection tokens stand behind the patches: together they form no grid.
    auto attention = vit::build_attention(vit::attention_of(config_.attention, i),
                                          {.dim = config_.embed_dim, .num_heads = config_.num_heads, .layer = i});
    add_module(vit::str("blocks.", i), blocks_.emplace_back(block_options(config_), std::move(attention)));
  }
}

Var Yolos::table_for(Context& ctx, const Var& table, const vit::Grid& grid) const {
  const vit::Grid native = config_.grid();
  if (grid == native) return table;
  const int64_t cells_end = 1 + native.count();
  const Var cells = vit::resample_grid(ctx, vit::slice_tokens(ctx, table, 0, cells_end), 1, native.height, native.width,
                                       grid.height, grid.width, vit::Interpolation::bicubic);
  return vit::concat_tokens(ctx, cells, vit::slice_tokens(ctx, table, cells_end, table.size(1)));
}

Var Yolos::mid_table(Context& ctx, int64_t block, const vit::Grid& grid) const {
  const Var table = vit::slice_rows(ctx, mid_pos_embed_.value, block, block + 1);
  return table_for(ctx, vit::reshape(ctx, table, {1, table_rows(), config_.embed_dim}), grid);
}

Var Yolos::embed(Context& ctx, const Var& images, const vit::Grid& grid) const {
  Scope scope(ctx, "patch_embed");
  const Var patches = patch_embed_.forward(ctx, images);
  const Var table = table_for(ctx, pos_embed_.value, grid);
  ctx.observe("pos_embed", table.value());
  const int64_t cells_end = 1 + grid.count();
  const Var cls = vit::add(ctx, cls_token_.value, vit::slice_tokens(ctx, table, 0, 1));
  const Var det = vit::add(ctx, det_token_.value, vit::slice_tokens(ctx, table, cells_end, table.size(1)));
  return vit::concat_tokens(ctx, vit::join_tokens(ctx, cls, patches, vit::slice_tokens(ctx, table, 1, cells_end)), det);
}

Var Yolos::run_block(Context& ctx, size_t index, const Var& x, const vit::Grid& grid) const {
  const auto block = [this, index, grid](Context& inner, const Var& tokens) {
    // The grid is for those who look at the scores.
    const Var y = blocks_[index].forward(inner, tokens, {.grid = grid, .prefix_tokens = 1});
    return mid_pos_embed_.value.defined() && index + 1 < blocks_.size()
               ? vit::add(inner, y, mid_table(inner, static_cast<int64_t>(index), grid))
               : y;
  };
  return training_.grad_checkpointing ? vit::checkpoint(ctx, block, x) : block(ctx, x);
}

DetectionOutput Yolos::detect(Context& ctx, const DetectionInput& input) const {
  const Var& images = input.images;
  vit::check(images.value().rank() == 4 && images.size(2) >= config_.patch_size && images.size(3) >= config_.patch_size,
             info_.name, ": expected images [B, ", config_.in_chans, ", height, width] of at least one patch of ",
             config_.patch_size, " x ", config_.patch_size, ", got ", images.shape());
  const vit::Grid grid{images.size(2) / config_.patch_size, images.size(3) / config_.patch_size};
  Var x = embed(ctx, images, grid);
  ctx.observe("embeddings", x.value());
  x = vit::dropout(ctx, x, training_.pos_drop_rate);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    Scope scope(ctx, "blocks", static_cast<int64_t>(i));
    x = run_block(ctx, i, x, grid);
    ctx.observe("", x.value());
  }
  if (ctx.wants("features")) ctx.observe("features", norm_.forward(ctx, x).value());
  const Var queries = norm_.forward(ctx, vit::slice_tokens(ctx, x, x.size(1) - config_.num_queries, x.size(1)));
  return {.levels = {predict(ctx, queries)}};
}

DetectionLevel Yolos::predict(Context& ctx, const Var& queries) const {
  DetectionLevel level;
  {
    Scope scope(ctx, "class_labels_classifier");
    level.logits = class_head_->forward(ctx, queries);
  }
  Scope scope(ctx, "bbox_predictor");
  level.boxes = vit::activate(ctx, box_head_.forward(ctx, queries), vit::Activation::sigmoid);
  return level;
}

const std::map<std::string, vit::ReferenceOutput>& Yolos::reference_names() const {
  static const std::map<std::string, vit::ReferenceOutput> names = [] {
    std::map<std::string, vit::ReferenceOutput> all = {{"hidden_states.0", "embeddings"},
                                                       {"hidden_states.{i+1}", "blocks.{i}"},
                                                       {"attentions.{i}", "blocks.{i}.attn.probs"},
                                                       {"last_hidden_state", "features"}};
    all.insert(output_reference_names().begin(), output_reference_names().end());
    return all;
  }();
  return names;
}

QueryAttention Yolos::query_attention(int64_t layer) const {
  const std::string module = vit::str("blocks.", layer, ".attn");
  return {.module = module, .layout = module + ".layout"};
}

vit::ConfigNode Yolos::describe() const {
  return vit::write_config(config_).with("type", vit::ConfigNode::make_scalar("yolos", true));
}

void Yolos::set_training(const vit::TrainingOptions& options) {
  training_ = options;
  const auto last = static_cast<float>(std::max<size_t>(1, blocks_.size() - 1));
  for (size_t i = 0; i < blocks_.size(); ++i)
    blocks_[i].set_dropout(
        {.proj_drop = options.proj_drop_rate, .drop_path = options.drop_path_rate * static_cast<float>(i) / last});
}

std::vector<std::string> Yolos::replace_head(int64_t num_classes) {
  if (num_classes < 1) vit::fail_usage(info_.name, ": a detector needs at least one class, got ", num_classes);
  config_.num_classes = info_.num_classes = num_classes;
  class_head_.emplace(class_head_options(config_));  // in the same place, which the tree of modules knows
  std::vector<std::string> names;
  class_head_->visit_parameters(
      [&](const std::string& name, vit::Parameter&) { names.push_back("class_labels_classifier." + name); });
  return names;
}

void Yolos::set_input_size(int64_t height, int64_t width) {
  YolosConfig resized = config_;
  resized.img_size = {height, width};
  resized.validate();
  const vit::Grid grid = resized.grid();
  if (!(grid == config_.grid())) {
    vit::check(pos_embed_.value.defined(), "set_input_size: the position tables are not loaded");
    Context ctx;
    std::vector<Var> mid;
    for (int64_t i = 0; mid_pos_embed_.value.defined() && i + 1 < config_.depth; ++i)
      mid.push_back(mid_table(ctx, i, grid));
    pos_embed_.value = table_for(ctx, pos_embed_.value, grid);
    pos_embed_.shape = pos_embed_.value.shape();
    if (!mid.empty()) {
      const vit::Shape shape = {config_.depth - 1, 1, pos_embed_.shape[1], config_.embed_dim};
      mid_pos_embed_.value = vit::reshape(ctx, vit::concat(ctx, mid, 0), shape);
      mid_pos_embed_.shape = shape;
    }
  }
  config_.img_size = info_.input_size = resized.img_size;
}

namespace {

[[maybe_unused]] const bool kRegistered =
    vit::model_registry().add("yolos", [](const vit::ConfigNode& options, const std::string& name) {
      return std::make_unique<Yolos>(vit::read_config<YolosConfig>(options), name);
    });

}  // namespace

}  // namespace detection
