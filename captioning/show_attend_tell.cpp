#include "captioning/show_attend_tell.h"

#include <utility>

#include "vit/attention/hard.h"
#include "vit/autograd/ops.h"
#include "vit/core/check.h"
#include "vit/models/build.h"

namespace captioning {

using vit::Context;
using vit::Scope;
using vit::Tensor;
using vit::Var;

namespace {

RecurrentDecoderOptions decoder_options(const ShowAttendTellConfig& config) {
  return {.vocab_size = config.vocab_size,
          .region_dim = config.region_dim,
          .embed_dim = config.embed_dim,
          .hidden_dim = config.hidden_dim,
          .attention = config.attention,
          .num_heads = config.num_heads,
          .dropout = config.dropout};
}

class RecurrentState : public DecoderState {
 public:
  RecurrentState(PictureRows rows, RecurrentDecoder::State start) : rows_(std::move(rows)), state_(std::move(start)) {}

  int64_t rows() const override { return rows_.rows(); }
  int64_t length() const override { return length_; }
  void select(const std::vector<int64_t>& parents) override {
    rows_.select(parents);
    state_ = {selected_rows(state_.hidden.value(), parents), selected_rows(state_.cell.value(), parents)};
  }

  const Tensor& memory() const { return rows_.memory(); }
  RecurrentDecoder::State& state() { return state_; }
  void advance(int64_t words) { length_ += words; }

 private:
  PictureRows rows_;
  RecurrentDecoder::State state_;
  int64_t length_ = 0;
};

/// The logits behind the last word: [R, T, V] -> [R, V].
Tensor last_word(Context& ctx, const Var& logits) { return vit::select_token(ctx, logits, logits.size(1) - 1).value(); }

}  // namespace

ShowAttendTell::ShowAttendTell(const ShowAttendTellConfig& config, const std::string& name)
    : RegionCaptioner(config, config.region_dim, name), config_(config), decoder_(decoder_options(config)) {
  add_module("decoder", decoder_);
  const auto* hard = dynamic_cast<const vit::HardAttention*>(&decoder_.attention());
  if (hard && hard->estimator() == vit::HardEstimator::reinforce) {
    add_parameter("reward_baseline", reward_baseline_, {2}, vit::Init::zeros());
    reward_baseline_.buffer = true;
  }
}

Var ShowAttendTell::logits(Context& ctx, const Var& encoded, const Tensor& ids, const Tensor& /*mask*/) const {
  check_ids(encoded, ids, encoded.size(0));
  Scope scope(ctx, "decoder");
  RecurrentDecoder::State state = decoder_.initial(ctx, encoded);
  return decoder_.forward(ctx, encoded, grids(), ids, state);
}

std::unique_ptr<DecoderState> ShowAttendTell::begin(Context& ctx, const Tensor& encoded,
                                                    int64_t rows_per_picture) const {
  PictureRows rows(encoded, rows_per_picture);
  const RecurrentDecoder::State start = decoder_.initial(ctx, encoded);
  std::vector<int64_t> pictures;
  for (int64_t row = 0; row < rows.rows(); ++row) pictures.push_back(row / rows_per_picture);
  return std::make_unique<RecurrentState>(std::move(rows),
                                          RecurrentDecoder::State{selected_rows(start.hidden.value(), pictures),
                                                                  selected_rows(start.cell.value(), pictures)});
}

Tensor ShowAttendTell::step(Context& ctx, DecoderState& state, const Tensor& ids) const {
  auto& own = dynamic_cast<RecurrentState&>(state);
  check_ids(own.memory(), ids, own.rows());
  Scope scope(ctx, "decoder");
  const Var logits = decoder_.forward(ctx, own.memory(), grids(), ids, own.state());
  own.advance(ids.size(1));
  return last_word(ctx, logits);
}

WordAttention ShowAttendTell::word_attention(int64_t layer) const {
  vit::check(layer == 0, info_.name, ": there is no attention layer ", layer);
  return {.name = "decoder.attn.probs", .grids = grids()};
}

vit::ConfigNode ShowAttendTell::describe() const {
  ShowAttendTellConfig now = config_;
  static_cast<RegionCaptionerConfig&>(now) = shared();
  return vit::write_config(now).with("type", vit::ConfigNode::make_scalar("show_attend_tell", true));
}

std::vector<std::string> ShowAttendTell::replace_vocabulary() {
  std::vector<std::string> names = decoder_.replace_vocabulary(vocab_size());
  for (std::string& name : names) name = vit::dotted("decoder", name);
  return names;
}

namespace {

std::unique_ptr<vit::ImageModel> build_show_attend_tell(const vit::ConfigNode& options, const std::string& name) {
  return std::make_unique<ShowAttendTell>(vit::read_config<ShowAttendTellConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = vit::model_registry().add("show_attend_tell", build_show_attend_tell);

}  // namespace

}  // namespace captioning
