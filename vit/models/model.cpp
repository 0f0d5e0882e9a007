#include "vit/models/model.h"

namespace vit {

void ImageModel::run_reference(Context& ctx, const ReferenceRun& run) const { forward(ctx, run.inputs.at("input")); }

Tensor ImageModel::adapt_parameter(const std::string&, const Shape&, Tensor found) const { return found; }

}  // namespace vit
