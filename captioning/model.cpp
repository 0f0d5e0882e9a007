#include "captioning/model.h"

#include <algorithm>

namespace captioning {

vit::Var CaptionModel::forward(vit::Context& ctx, const vit::Var& images) const {
  const vit::Var encoded = encode(ctx, images);
  vit::Tensor ids = vit::Tensor::empty({images.size(0), 1}, vit::DType::i64);
  std::fill_n(ids.data<int64_t>(), ids.numel(), start_and_end().start);
  return vit::select_token(ctx, logits(ctx, encoded, ids, {}), 0);
}

std::vector<int64_t> CaptionModel::prompt_ids(std::vector<int64_t> encoded) const {
  const StartAndEnd own = start_and_end();
  const auto is_end = [&](int64_t id) { return std::find(own.ends.begin(), own.ends.end(), id) != own.ends.end(); };
  if (encoded.empty() || encoded.front() != own.start) encoded.insert(encoded.begin(), own.start);
  if (encoded.size() > 1 && is_end(encoded.back())) encoded.pop_back();
  return encoded;
}

}  // namespace captioning
