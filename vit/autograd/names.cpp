#include "vit/autograd/names.h"

#include <map>

#include "vit/core/names.h"

namespace vit {

namespace kernels {
const std::vector<std::pair<Activation, std::string>>& enum_names(Activation) {
  static const std::vector<std::pair<Activation, std::string>> names = {{Activation::none, "none"},
                                                                        {Activation::relu, "relu"},
                                                                        {Activation::gelu, "gelu"},
                                                                        {Activation::gelu_tanh, "gelu_tanh"},
                                                                        {Activation::quick_gelu, "quick_gelu"},
                                                                        {Activation::silu, "silu"},
                                                                        {Activation::sigmoid, "sigmoid"},
                                                                        {Activation::tanh, "tanh"},
                                                                        {Activation::hard_sigmoid, "hard_sigmoid"}};
  return names;
}
}  // namespace kernels

const std::vector<std::pair<Interpolation, std::string>>& enum_names(Interpolation) {
  static const std::vector<std::pair<Interpolation, std::string>> names = {
      {Interpolation::bicubic_antialias, "bicubic_antialias"}, {Interpolation::bicubic, "bicubic"}};
  return names;
}

Activation activation_of(const std::string& name, const std::string& where) {
  static const std::map<std::string, Activation> known = {{"relu", Activation::relu},
                                                          {"gelu", Activation::gelu},
                                                          {"gelu_python", Activation::gelu},
                                                          {"gelu_tanh", Activation::gelu_tanh},
                                                          {"gelu_new", Activation::gelu_tanh},
                                                          {"gelu_fast", Activation::gelu_tanh},
                                                          {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                                          {"quick_gelu", Activation::quick_gelu},
                                                          {"silu", Activation::silu},
                                                          {"swish", Activation::silu},
                                                          {"sigmoid", Activation::sigmoid},
                                                          {"tanh", Activation::tanh},
                                                          {"hard_sigmoid", Activation::hard_sigmoid}};
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known_name, activation] : known) names.push_back(known_name);
  fail_usage(where, ": unknown activation '", name, "'", did_you_mean(name, names), "; known: ", joined(names));
}

}  // namespace vit
