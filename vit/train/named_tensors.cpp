#include "vit/train/named_tensors.h"

#include <cstring>

namespace vit {

void restore_tensor(const NamedTensors& saved, const std::string& key, const Tensor& into, const char* what) {
  const auto found = saved.find(key);
  if (found == saved.end())
    fail_usage(what, ": the saved state has no '", key, "'; it was made with another model or other options");
  const Tensor& tensor = found->second;
  if (tensor.dtype() != into.dtype() || !(tensor.shape() == into.shape()))
    fail_usage(what, ": '", key, "' is ", name_of(tensor.dtype()), " ", tensor.shape(), " in the saved state and ",
               name_of(into.dtype()), " ", into.shape(), " in this run");
  std::memcpy(into.raw(), tensor.raw(), static_cast<size_t>(into.nbytes()));
}

}  // namespace vit
