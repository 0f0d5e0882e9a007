#include "captioning/text_decoder_state.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "captioning/text_decoder.h"
#include "vit/core/parallel.h"
#include "vit/kernels/group_kernels.h"
#include "vit/kernels/kernels.h"

namespace captioning {

using vit::Context;
using vit::Tensor;
using vit::Var;

namespace {

/// Workspaces and packed heads begin at lines of 64 bytes.
int64_t rounded_to_line(int64_t floats) { return (floats + 15) / 16 * 16; }

/// Neighbouring rows that look at the same picture.
struct Run {
  int64_t first = 0, count = 0, picture = 0;
};

std::vector<Run> runs_of(const std::vector<int64_t>& pictures) {
  std::vector<Run> runs;
  for (size_t row = 0; row < pictures.size(); ++row) {
    if (row > 0 && pictures[row] == pictures[row - 1])
      ++runs.back().count;
    else
      runs.push_back({static_cast<int64_t>(row), 1, pictures[row]});
  }
  return runs;
}

/// Calls body(task, scratch) for every task, in at most one part per thread.
template <class Body>
void for_tasks(Context& ctx, int64_t tasks, int64_t scratch_floats, const Body& body) {
  const int64_t parts = std::min<int64_t>(vit::num_threads(), tasks), size = rounded_to_line(scratch_floats);
  const Tensor scratch = ctx.arena.empty({std::max<int64_t>(1, parts), std::max<int64_t>(16, size)});
  vit::parallel_for(parts, [&](int64_t part) {
    const vit::Range range = vit::part_range(tasks, parts, part);
    for (int64_t task = range.begin; task < range.end; ++task) body(task, scratch.f32() + part * size);
  });
}

}  // namespace

TextDecoderState::TextDecoderState(const Options& options)
    : options_(options),
      scale_(1.0f / std::sqrt(static_cast<float>(options.head_dim))),
      words_(static_cast<size_t>(options.layers)),
      packed_(static_cast<size_t>(options.layers)) {
  for (int64_t row = 0; row < options.pictures * options.rows_per_picture; ++row)
    pictures_.push_back(row / options.rows_per_picture);
  places_.resize(pictures_.size());
}

void TextDecoderState::select(const std::vector<int64_t>& parents) {
  std::vector<int64_t> pictures;
  std::vector<std::vector<int64_t>> places;
  for (const int64_t parent : parents) {
    vit::check(parent >= 0 && parent < rows(), "text decoder: there is no row ", parent, " of ", rows());
    pictures.push_back(pictures_[static_cast<size_t>(parent)]);
    places.push_back(places_[static_cast<size_t>(parent)]);
  }
  pictures_ = std::move(pictures);
  places_ = std::move(places);
}

void TextDecoderState::keep_picture(int64_t layer, const Tensor& kv) {
  const auto& table = vit::kernels::kernels();
  const int64_t tokens = options_.picture_tokens, dim = options_.head_dim, heads = options_.heads;
  const int64_t size = rounded_to_line(table.attention_packed_size(tokens, dim, dim));
  Tensor& packed = packed_[static_cast<size_t>(layer)];
  packed = Tensor::empty({options_.pictures * heads, size});
  vit::parallel_for(options_.pictures * heads, [&](int64_t pair) {
    const float* keys = kv.f32() + pair / heads * tokens * 2 * width() + pair % heads * dim;
    table.attention_pack(packed.f32() + pair * size, keys, 2 * width(), keys + width(), 2 * width(), tokens, dim, dim,
                         0, tokens);
  });
}

void TextDecoderState::reserve(int64_t places) {
  for (Tensor& kept : words_) {
    const int64_t before = kept.defined() ? kept.size(0) : 0;
    if (before >= places) continue;
    Tensor larger = Tensor::empty({std::max(places, 2 * before), 2 * width()});
    if (before > 0) std::memcpy(larger.f32(), kept.f32(), static_cast<size_t>(kept.nbytes()));
    kept = std::move(larger);
  }
}

void TextDecoderState::grow(int64_t tokens) {
  reserve(places_used_ + rows() * tokens);
  for (std::vector<int64_t>& places : places_)
    for (int64_t t = 0; t < tokens; ++t) places.push_back(places_used_++);
  length_ += tokens;
}

Tensor TextDecoderState::attend_words(Context& ctx, int64_t layer, const Tensor& qkv) {
  const auto& kernels = *vit::kernels::kernels().groups;
  const int64_t tokens = qkv.size(1), dim = options_.head_dim, heads = options_.heads, stride = 2 * width();
  float* kept = words_[static_cast<size_t>(layer)].f32();
  const auto bytes = static_cast<size_t>(stride) * sizeof(float);
  for (int64_t row = 0; row < rows(); ++row)
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t place = places_[static_cast<size_t>(row)][static_cast<size_t>(length_ - tokens + t)];
      std::memcpy(kept + place * stride, qkv.f32() + (row * tokens + t) * 3 * width() + width(), bytes);
    }
  Tensor mixed = ctx.arena.empty({rows(), tokens, width()});
  const int64_t scratch = kernels.grouped_attention_workspace_size(1, length_, dim, dim);
  for_tasks(ctx, rows() * tokens * heads, scratch, [&](int64_t task, float* workspace) {
    const int64_t query = task / heads, row = query / tokens, column = task % heads * dim;
    kernels.grouped_attention({.out = mixed.f32() + column,
                               .out_stride = width(),
                               .group = {.q = qkv.f32() + column,
                                         .q_stride = 3 * width(),
                                         .k = kept + column,
                                         .k_stride = stride,
                                         .v = kept + width() + column,
                                         .v_stride = stride,
                                         .queries = &query,
                                         .keys = places_[static_cast<size_t>(row)].data(),
                                         .q_rows = 1,
                                         .kv_rows = length_ - tokens + query % tokens + 1,
                                         .qk_dim = dim,
                                         .v_dim = dim,
                                         .scale = scale_}},
                              workspace);
  });
  return mixed;
}

Tensor TextDecoderState::attend_picture(Context& ctx, int64_t layer, const Tensor& q) const {
  const auto& table = vit::kernels::kernels();
  const int64_t tokens = q.size(1), dim = options_.head_dim, heads = options_.heads;
  const Tensor& packed = packed_[static_cast<size_t>(layer)];
  const std::vector<Run> runs = runs_of(pictures_);
  Tensor mixed = ctx.arena.empty(q.shape());
  const auto tasks = static_cast<int64_t>(runs.size()) * heads;
  for_tasks(ctx, tasks, table.attention_workspace_size(dim, dim), [&](int64_t task, float* workspace) {
    const Run& run = runs[static_cast<size_t>(task / heads)];
    const int64_t head = task % heads, offset = run.first * tokens * width() + head * dim;
    table.attention_rows({.out = mixed.f32() + offset,
                          .out_stride = width(),
                          .q = q.f32() + offset,
                          .q_stride = width(),
                          .packed_kv = packed.f32() + (run.picture * heads + head) * packed.size(1),
                          .kv_rows = options_.picture_tokens,
                          .qk_dim = dim,
                          .v_dim = dim,
                          .scale = scale_},
                         workspace, 0, run.count * tokens);
  });
  return mixed;
}

std::unique_ptr<DecoderState> TextDecoder::begin(Context& ctx, const Tensor& memory, int64_t rows_per_picture) const {
  vit::check(memory.rank() == 3 && memory.size(2) == config_.memory_dim && config_.memory_dim > 0,
             "text decoder: the picture's tokens must be [P, M, ", config_.memory_dim, "], got ", memory.shape());
  auto state = std::make_unique<TextDecoderState>(TextDecoderState::Options{.layers = config_.depth,
                                                                            .heads = config_.num_heads,
                                                                            .head_dim = config_.head_dim(),
                                                                            .pictures = memory.size(0),
                                                                            .rows_per_picture = rows_per_picture,
                                                                            .picture_tokens = memory.size(1)});
  for (size_t i = 0; i < layers_.size(); ++i)
    state->keep_picture(static_cast<int64_t>(i), layers_[i].memory_keys(ctx, memory).value());
  return state;
}

Tensor TextDecoder::step(Context& ctx, DecoderState& state, const Tensor& ids) const {
  auto* kept = dynamic_cast<TextDecoderState*>(&state);
  vit::check(kept, "text decoder: the state is another model's");
  vit::check(ids.rank() == 2 && ids.size(0) == kept->rows(), "text decoder: expected ids [", kept->rows(), ", T], got ",
             ids.shape());
  Var x = embed(ctx, ids, kept->length());
  kept->grow(ids.size(1));
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto layer = static_cast<int64_t>(i);
    x = layers_[i].forward(
        ctx, x, [&](Context& inner, const Var& qkv) { return kept->attend_words(inner, layer, qkv.value()); },
        [&](Context& inner, const Var& q) { return kept->attend_picture(inner, layer, q.value()); });
  }
  const Var last = vit::select_token(ctx, x, x.size(1) - 1);
  return predict(ctx, norm_.forward(ctx, last)).value();
}

}  // namespace captioning
