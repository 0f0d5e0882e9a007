#include "vit/nn/conv_norm.h"

#include <utility>

#include "vit/autograd/gate_ops.h"

namespace vit {

ConvNorm::ConvNorm(const ConvNormOptions& options)
    : conv_(options.conv), norm_(options.conv.out_channels, options.norm) {
  if (options.frozen) norm_.freeze();
  if (options.zero_init) norm_.start_at_zero();
  // Both are this module's own and not children: folding needs them loaded together.
  for (const auto& [part, name] : {std::pair<Module*, std::string>{&conv_, options.conv_name},
                                   std::pair<Module*, std::string>{&norm_, options.norm_name}})
    for (const auto& [own, parameter] : part->own_parameters())
      add_parameter(dotted(name, own), *parameter, parameter->shape, parameter->init);
}

Var ConvNorm::forward(Context& ctx, const Var& x, Activation activation) const {
  if (folded_) return conv_.forward(ctx, x, activation);
  return activate_in_place(ctx, norm_.forward(ctx, conv_.forward(ctx, x)), activation);
}

Var ConvNorm::forward_add(Context& ctx, const Var& x, Var residual, Activation activation) const {
  if (folded_)
    return conv_.forward(ctx, x,
                         LinearOptions{.activation = activation,
                                       .residual = std::move(residual),
                                       .residual_first = true,
                                       .overwrite_residual = true});
  return activate_in_place(ctx, add(ctx, norm_.forward(ctx, conv_.forward(ctx, x)), residual), activation);
}

void ConvNorm::prepare() {
  const BatchNorm::Affine affine = norm_.take_affine();
  conv_.fold(affine.scale, affine.shift);
  conv_.prepare();
  folded_ = true;
}

}  // namespace vit
