#include "vit/autograd/column_gradients.h"

#include <algorithm>
#include <cstdlib>

namespace vit {

ColumnGradients::ColumnGradients(Tape& tape, const std::array<const HeadColumns*, 3>& all, int64_t width,
                                 bool written) {
  for (size_t i = 0; i < all.size(); ++i) {
    size_t at = 0;
    while (at < entries_.size() && !has_room(entries_[at], *all[i], width)) ++at;
    if (at == entries_.size()) entries_.push_back({all[i]->tokens, {}, {}});
    entries_[at].firsts.push_back(all[i]->first);
    entry_of_[i] = at;
    firsts_[i] = all[i]->first;
  }
  for (Entry& entry : entries_) {
    const bool covered = written && static_cast<int64_t>(entry.firsts.size()) * width == entry.tokens.size(2);
    entry.gradient = covered ? tape.empty(entry.tokens.shape()) : tape.zeros(entry.tokens.shape());
  }
}

bool ColumnGradients::has_room(const Entry& entry, const HeadColumns& columns, int64_t width) {
  const bool one =
      entry.tokens.same(columns.tokens) || (!entry.tokens.requires_grad() && !columns.tokens.requires_grad() &&
                                            entry.tokens.value().raw() == columns.tokens.value().raw());
  return one && std::all_of(entry.firsts.begin(), entry.firsts.end(),
                            [&](int64_t first) { return std::abs(first - columns.first) >= width; });
}

void ColumnGradients::accumulate(Tape& tape) const {
  for (const Entry& entry : entries_) tape.accumulate(entry.tokens, entry.gradient);
}

}  // namespace vit
