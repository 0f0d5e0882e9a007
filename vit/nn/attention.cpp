#include "vit/nn/attention.h"

namespace vit {

Registry<AttentionEntry>& attention_registry() {
  static Registry<AttentionEntry> registry("attention");
  return registry;
}

const std::vector<std::pair<AttentionFamily, std::string>>& enum_names(AttentionFamily) {
  static const std::vector<std::pair<AttentionFamily, std::string>> names = {{AttentionFamily::spatial, "spatial"},
                                                                             {AttentionFamily::channel, "channel"},
                                                                             {AttentionFamily::region, "region"},
                                                                             {AttentionFamily::decoder, "decoder"}};
  return names;
}

namespace {

/// Errors (usage): the mechanism cannot work in such a place.
void check_place(const ConfigNode& node, const std::string& name, const AttentionTraits& traits,
                 const AttentionShape& shape) {
  if (traits.needs_grid && shape.grid.count() == 0)
    node.refuse("attention '" + name + "' works on a grid of patches, and the tokens here have none");
  if (!traits.takes_prefix && shape.prefix_tokens > 0)
    node.refuse(str("attention '", name, "' has no place for the ", shape.prefix_tokens,
                    " class or register token(s) in front of the patches; set class_token: false, reg_tokens: 0 and "
                    "global_pool: avg"));
  if (traits.needs_prefix && shape.prefix_tokens == 0)
    node.refuse("attention '" + name +
                "' only moves class or register tokens, and there are none; set class_token: "
                "true");
  if (traits.needs_memory && shape.memory_dim == 0)
    node.refuse("attention '" + name + "' looks at a memory (an encoder's output), and there is none here");
}

}  // namespace

std::unique_ptr<Attention> build_attention(const ConfigNode& node, const AttentionShape& shape,
                                           const std::string& fallback) {
  if (node.is_map() && !node.keys().empty() && !node.has("type"))
    node.refuse("`type` is missing: which mechanism has these options? `vitkit info --list attentions` prints all");
  const TypedConfig mechanism = split_type(node, fallback);
  if (!attention_registry().contains(mechanism.type)) node.refuse(attention_registry().unknown(mechanism.type));
  const AttentionEntry& entry = attention_registry().find(mechanism.type);
  check_place(node, mechanism.type, entry.traits, shape);
  try {
    return entry.make(shape, mechanism.options);
  } catch (const Error& error) {
    // Options are refused with their place; what a mechanism says of its shape (heads, extents) has none.
    const bool placed = std::string(error.what()).starts_with(node.place());
    if (placed || error.kind() != ErrorKind::kUsage) throw;
    node.refuse("attention '" + mechanism.type + "': " + error.what());
  }
}

Var with_residual(Context& ctx, const Var& y, const LinearOptions& residual) {
  const Var branch = residual.gamma.defined() ? scale_channels(ctx, y, residual.gamma) : y;
  return residual.residual.defined() ? add(ctx, residual.residual, branch) : branch;
}

}  // namespace vit
