#include "vit/explain/subject.h"

#include <algorithm>

namespace vit {

namespace {

/// Writes down what it is asked for, and wants nothing.
class NameCollector : public Observer {
 public:
  explicit NameCollector(std::vector<std::string>& names) : names_(names) {}
  bool wants(const std::string& name) override {
    if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(name);
    return false;
  }
  void observe(const std::string&, const Tensor&) override {}

 private:
  std::vector<std::string>& names_;
};

}  // namespace

const std::vector<std::string>& Subject::offers() const {
  static const std::vector<std::string> nothing;
  return nothing;
}

std::vector<std::string> offered_names(const ImageModel& model,
                                       const std::function<void(Context&, const Tensor& pixels)>& run) {
  std::vector<std::string> names;
  NameCollector collector(names);
  Context ctx;
  ctx.observer = &collector;
  const ModelInfo& info = model.info();
  run(ctx, Tensor::zeros({1, info.input_channels, info.input_size[0], info.input_size[1]}));
  return names;
}

AttentionRole Subject::role_of(const std::string& module) const {
  return module.ends_with("attn_pool") ? AttentionRole::cross : AttentionRole::picture;
}

std::optional<TokenLayout> Subject::layout_of(const std::string&) const { return std::nullopt; }

std::vector<double> Subject::readout(AttentionRole role, int64_t tokens, const TokenLayout& layout) const {
  if (role != AttentionRole::picture)
    return std::vector<double>(static_cast<size_t>(tokens), 1.0 / static_cast<double>(tokens));
  std::vector<double> weights(static_cast<size_t>(tokens), 0.0);
  if (layout.prefix > 0) {
    weights.front() = 1.0;
    return weights;
  }
  const int64_t cells = std::min(layout.cells(), tokens);
  std::fill_n(weights.begin(), cells, 1.0 / static_cast<double>(cells));
  return weights;
}

}  // namespace vit
