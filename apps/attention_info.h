// What `vitkit info` says about attention mechanisms: the table of all, and everything about one.
#pragma once

#include <cstdint>
#include <string>

namespace apps {

class Output;

/// Every registered mechanism: a table of name, family, cost and options, or a record of each.
int print_attentions(Output& output);

struct AttentionQuestion {
  std::string mechanism;  ///< a name, or a map with `type` and options, in YAML
  std::string scores;     ///< file that the picture of its scores goes to; empty: none
  uint64_t seed = 0;      ///< of the weights of that picture
};

/// One mechanism. Errors (usage): an unknown one, options that do not fit; as draw_attention.
int print_attention(const AttentionQuestion& question, Output& output);

}  // namespace apps
