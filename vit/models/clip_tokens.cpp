#include "vit/models/clip_tokens.h"

#include <limits>
#include <vector>

#include "vit/autograd/tape.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// Tokens of every part one after the other, as numbers among all; the class token stands in every frame.
std::vector<int64_t> tokens_of(const ClipGrid& clip, ClipPart part) {
  const int64_t frames = clip.frames, patches = clip.grid.count();
  std::vector<int64_t> tokens;
  tokens.reserve(static_cast<size_t>(frames * (1 + patches)));
  if (part == ClipPart::places) {
    for (int64_t n = 0; n < patches; ++n)
      for (int64_t t = 0; t < frames; ++t) tokens.push_back(1 + t * patches + n);
    return tokens;
  }
  for (int64_t t = 0; t < frames; ++t) {
    tokens.push_back(0);
    for (int64_t n = 0; n < patches; ++n) tokens.push_back(1 + t * patches + n);
  }
  return tokens;
}

Tensor index_of(const std::vector<int64_t>& numbers) {
  return Tensor::from(numbers, {static_cast<int64_t>(numbers.size())});
}

int64_t parts_of(const ClipGrid& clip, ClipPart part) {
  return part == ClipPart::places ? clip.grid.count() : clip.frames;
}

int64_t length_of(const ClipGrid& clip, ClipPart part) {
  return part == ClipPart::places ? clip.frames : 1 + clip.grid.count();
}

/// Where each patch is in the sequence that tokens_of makes.
std::vector<int64_t> places_of_patches(const ClipGrid& clip, ClipPart part) {
  const std::vector<int64_t> tokens = tokens_of(clip, part);
  std::vector<int64_t> where(static_cast<size_t>(clip.patches()));
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] > 0) where[static_cast<size_t>(tokens[i] - 1)] = static_cast<int64_t>(i);
  return where;
}

/// What a query's row of a part adds to the row among all tokens: the class token's copies share theirs.
struct Spread {
  float empty = 0.0f;      ///< where a token cannot look
  float copy_row = 1.0f;   ///< factor on the rows of the class token's copies
  float copy_cell = 1.0f;  ///< factor on what the copies say of themselves
  float alone = 1.0f;      ///< of a class token that is in no part, at itself
};

Tensor spread(const Tensor& values, const ClipGrid& clip, ClipPart part, const Spread& how) {
  const int64_t parts = parts_of(clip, part), length = length_of(clip, part), all = 1 + clip.patches();
  check(values.rank() == 4 && values.size(0) % parts == 0 && values.size(2) == length && values.size(3) == length,
        "clip: expected attention [B * ", parts, ", H, ", length, ", ", length, "], got ", values.shape());
  const int64_t batch = values.size(0) / parts, heads = values.size(1);
  const std::vector<int64_t> tokens = tokens_of(clip, part);
  const Tensor wide = Tensor::full({batch, heads, all, all}, how.empty);
  for (int64_t plane = 0; plane < batch * heads; ++plane) {
    float* to = wide.f32() + plane * all * all;
    to[0] = part == ClipPart::places ? how.alone : 0.0f;
    for (int64_t p = 0; p < parts; ++p) {
      const float* from = values.f32() + ((plane / heads * parts + p) * heads + plane % heads) * length * length;
      const int64_t* names = tokens.data() + p * length;
      for (int64_t q = 0; q < length; ++q)
        for (int64_t k = 0; k < length; ++k) {
          const float value = from[q * length + k];
          float& cell = to[names[q] * all + names[k]];
          if (names[q] == 0 && names[k] == 0)
            cell += how.copy_cell * value;
          else
            cell = names[q] == 0 ? how.copy_row * value : value;
        }
    }
  }
  return wide;
}

}  // namespace

Var split_clip(Context& ctx, const Var& x, const ClipGrid& clip, ClipPart part) {
  check(x.value().rank() == 3 && x.size(1) == 1 + clip.patches(), "clip: expected tokens [B, ", 1 + clip.patches(),
        ", C], got ", x.shape());
  const Var parts = gather_tokens(ctx, x, index_of(tokens_of(clip, part)));
  return reshape(ctx, parts, {x.size(0) * parts_of(clip, part), length_of(clip, part), x.size(2)});
}

Var join_clip(Context& ctx, const Var& x, const ClipGrid& clip, ClipPart part) {
  const int64_t parts = parts_of(clip, part), length = length_of(clip, part);
  check(x.value().rank() == 3 && x.size(0) % parts == 0 && x.size(1) == length, "clip: expected [B * ", parts, ", ",
        length, ", C], got ", x.shape());
  const Var row = reshape(ctx, x, {x.size(0) / parts, parts * length, x.size(2)});
  const Var patches = gather_tokens(ctx, row, index_of(places_of_patches(clip, part)));
  if (part == ClipPart::places) return patches;
  std::vector<int64_t> copies;
  for (int64_t t = 0; t < clip.frames; ++t) copies.push_back(t * length);
  const Var cls = mean(ctx, gather_tokens(ctx, row, index_of(copies)), {1}, /*keep=*/true);
  return concat_tokens(ctx, cls, patches);
}

Tensor spread_probs(const Tensor& probs, const ClipGrid& clip, ClipPart part) {
  const float share = 1.0f / static_cast<float>(clip.frames);
  return spread(probs, clip, part, {.copy_row = share, .copy_cell = share});
}

Tensor spread_scores(const Tensor& scores, const ClipGrid& clip, ClipPart part) {
  return spread(scores, clip, part,
                {.empty = -std::numeric_limits<float>::infinity(),
                 .copy_cell = 1.0f / static_cast<float>(clip.frames),
                 .alone = 0.0f});
}

Tensor spread_probs_gradient(const Tensor& gradient, const ClipGrid& clip, ClipPart part) {
  return spread(gradient, clip, part, {.copy_row = static_cast<float>(clip.frames), .alone = 0.0f});
}

void ObserveWholeClip::Spreading::observe(const std::string& name, const Tensor& value) {
  Context plain;
  if (name.ends_with(".probs")) return outer_->observe(name, spread_probs(value, clip_, part_));
  if (name.ends_with(".probs.grad")) return outer_->observe(name, spread_probs_gradient(value, clip_, part_));
  if (name.ends_with(".scores")) return outer_->observe(name, spread_scores(value, clip_, part_));
  if (name.ends_with(".norm1")) return outer_->observe(name, join_clip(plain, value, clip_, part_).value());
  if (name.ends_with(".norm1.grad")) {
    // What the copies of the class token get adds up; it is their mean that join_clip gives.
    const Tensor joined = join_clip(plain, value, clip_, part_).value().clone();
    const int64_t tokens = joined.size(1), width = joined.size(2);
    for (int64_t b = 0; part_ == ClipPart::frames && b < joined.size(0); ++b)
      for (int64_t c = 0; c < width; ++c) joined.f32()[b * tokens * width + c] *= static_cast<float>(clip_.frames);
    return outer_->observe(name, joined);
  }
  if (!name.ends_with(".layout")) return outer_->observe(name, value);
  const std::vector<float> layout = {1.0f, static_cast<float>(clip_.frames * clip_.grid.height),
                                     static_cast<float>(clip_.grid.width)};
  outer_->observe(name, Tensor::from(layout, {3}));
}

ObserveWholeClip::ObserveWholeClip(Context& ctx, const ClipGrid& clip, ClipPart part)
    : ctx_(ctx), outer_(ctx.observer) {
  if (!outer_) return;
  spreading_ = std::make_shared<Spreading>(outer_, clip, part);
  ctx.observer = spreading_.get();
}

ObserveWholeClip::~ObserveWholeClip() { ctx_.observer = outer_; }

Var ObserveWholeClip::until_backward(Context& ctx, const Var& x) const {
  if (!spreading_ || !ctx.tape) return x;
  // A record is dropped when it has run, which is after all that came after it. The leaf makes it one even where x
  // needs no gradient, and the mechanism's parameters do.
  const Var always = Var::leaf(Tensor::zeros({1}));
  return ctx.tape->record(x.value(), {x, always},
                          [x, kept = spreading_](Tape& tape, const Tensor& d_x) { tape.accumulate(x, d_x); });
}

}  // namespace vit
