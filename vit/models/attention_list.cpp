#include "vit/models/attention_list.h"

#include "vit/core/check.h"

namespace vit {

ConfigNode attention_of(const ConfigNode& attention, int64_t index) {
  return attention.is_list() ? attention.items()[static_cast<size_t>(index)] : attention;
}

void check_attention_list(const ConfigNode& attention, int64_t count, const std::string& what) {
  const auto listed = static_cast<int64_t>(attention.items().size());
  if (attention.is_list() && listed != count)
    attention.refuse(
        str("a list of attention mechanisms has one for each: expected ", what, " = ", count, ", got ", listed));
}

}  // namespace vit
