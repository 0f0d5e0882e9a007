// timm's attention modules on feature maps (A8): outputs, every gradient, and running statistics after a training step.
#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/parity/module_case.h"
#include "vit/attention/bilinear.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/io/json.h"

namespace vit {

namespace {

/// timm's classes -> our mechanisms, with what is fixed by the class.
const std::map<std::string, std::string>& mechanisms() {
  static const std::map<std::string, std::string> names = {{"SEModule", "{type: squeeze_excite}"},
                                                           {"EffectiveSEModule", "{type: effective_se}"},
                                                           {"EcaModule", "{type: eca}"},
                                                           {"CecaModule", "{type: eca, circular: true}"},
                                                           {"CbamModule", "{type: cbam}"},
                                                           {"LightCbamModule", "{type: light_cbam}"},
                                                           {"GlobalContext", "{type: global_context}"},
                                                           {"NonLocalAttn", "{type: non_local}"},
                                                           {"BatNonLocalAttn", "{type: bilinear}"}};
  return names;
}

/// "<class 'torch.nn.modules.activation.SiLU'>" -> "silu": layers are written as Python prints their classes.
std::string layer_name(const std::string& printed) {
  if (!printed.starts_with("<class")) return printed;
  std::string name = printed.substr(printed.rfind('.') + 1);
  name.resize(name.find('\''));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::map<std::string, std::string> ours = {{"batchnorm2d", "batchnorm"}, {"hardsigmoid", "hard_sigmoid"}};
  const auto found = ours.find(name);
  return found == ours.end() ? name : found->second;
}

/// The options of a mechanism from the keyword arguments of timm's constructor, which have the same names.
ConfigNode options_of(const std::string& constructor, const nlohmann::json& kwargs) {
  ConfigNode node = ConfigNode::parse(mechanisms().at(constructor), constructor);
  for (const auto& [key, value] : kwargs.items()) {
    if (key == "channels" || key == "in_channels") continue;
    // timm's kernel follows from the channels where these are given.
    if (key == "kernel_size" && kwargs.contains("channels")) continue;
    node = node.with(key, value.is_string() ? ConfigNode::make_scalar(layer_name(value.get<std::string>()), true)
                                            : ConfigNode::make_scalar(value.dump(), false));
  }
  return node;
}

void run_mechanism(ModuleCase& golden, Context& ctx, const std::string& constructor, const nlohmann::json& kwargs) {
  const Var image = golden.input("input");
  const Grid grid{image.size(2), image.size(3)};
  const int64_t batch = image.size(0), dim = image.size(1);
  const auto module = build_attention(options_of(constructor, kwargs), {.dim = dim, .grid = grid});
  golden.load(*module);
  golden.run(ctx, [&](Context& c) {
    const Var tokens = reshape(c, channels_last(c, image), {batch, grid.count(), dim});
    const Var y = module->forward(c, tokens, {.grid = grid});
    return permute(c, reshape(c, y, {batch, grid.height, grid.width, dim}), {0, 3, 1, 2});
  });
}

/// The inner part of timm's BatNonLocalAttn, which the case has alone.
void run_transform(ModuleCase& golden, Context& ctx, const JsonObject& kwargs) {
  const Var image = golden.input("input");
  BilinearTransform module(kwargs.require_int("in_channels"), kwargs.require_int("block_size"),
                           kwargs.require_int("groups"), Activation::relu);
  golden.load(module);
  golden.run(ctx, [&](Context& c) { return permute(c, module.forward(c, channels_last(c, image)), {0, 3, 1, 2}); });
}

void run_module(ModuleCase& golden) {
  const JsonObject description(golden.description(), "case.json");
  const std::string constructor = description.require_string("ctor");
  const JsonObject kwargs = description.get_object("kwargs");
  Context ctx;
  ctx.training = description.require_string("mode") == "train";
  if (constructor == "BilinearAttnTransform")
    run_transform(golden, ctx, kwargs);
  else
    run_mechanism(golden, ctx, constructor, kwargs.raw());
}

}  // namespace

std::vector<GradientResult> run_attention_golden(const std::filesystem::path& dir) {
  return run_module_cases(dir, run_module);
}

}  // namespace vit
