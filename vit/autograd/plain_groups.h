// Plain definition of attention within groups of tokens; see plain.h.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/autograd/plain.h"

namespace vit::plain {

/// Groups [G, M] of token numbers, -1 for none.
using GroupTable = std::vector<std::vector<int64_t>>;

/// Rows `index` of x [N, D]; -1 is the row `filler` [D].
template <class T>
Array<T> rows_of(const Array<T>& x, const std::vector<int64_t>& index, const Array<T>& filler) {
  Array<T> y = xt::zeros<T>({index.size(), x.shape(1)});
  for (size_t i = 0; i < index.size(); ++i)
    xt::view(y, i) = index[i] < 0 ? filler : Array<T>(xt::view(x, static_cast<size_t>(index[i])));
  return y;
}

/// One head of one sample: q [Nq, D], k and v [Nk, D], bias [G, Mq, Mk] of the groups -> [Nq, D].
template <class T>
Array<T> grouped_attention(const Array<T>& q, const Array<T>& k, const Array<T>& v, const GroupTable& queries,
                           const GroupTable& keys, const Array<T>& bias, const Array<T>& filler_k,
                           const Array<T>& filler_v, T scale) {
  Array<T> y = xt::zeros<T>({q.shape(0), v.shape(1)});
  for (size_t g = 0; g < queries.size(); ++g) {
    const Array<T> none = xt::zeros<T>({q.shape(1)});
    const Array<T> added = xt::view(bias, g);
    const Array<T> mixed = attention<T>(rows_of<T>(q, queries[g], none), rows_of<T>(k, keys[g], filler_k),
                                        rows_of<T>(v, keys[g], filler_v), added, scale);
    for (size_t i = 0; i < queries[g].size(); ++i)
      if (queries[g][i] >= 0) xt::view(y, static_cast<size_t>(queries[g][i])) = xt::view(mixed, i);
  }
  return y;
}

}  // namespace vit::plain
