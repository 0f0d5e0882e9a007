#include <nlohmann/json.hpp>

#include "tests/parity/module_case.h"
#include "vit/io/json.h"
#include "vit/nn/multihead_attention.h"

namespace vit {

namespace {

/// Keeps the probabilities.
struct ProbsObserver : Observer {
  Tensor probs;
  bool wants(const std::string& name) override { return name == "probs"; }
  void observe(const std::string&, const Tensor& value) override { probs = value; }
};

MultiheadAttentionOptions options_of(const nlohmann::json& kwargs) {
  const JsonObject json(kwargs, "kwargs");
  const int64_t dim = json.require_int("embed_dim");
  return {.embed_dim = dim,
          .num_heads = json.require_int("num_heads"),
          .bias = json.get_bool("bias", true),
          .kdim = json.get_int("kdim", dim),
          .vdim = json.get_int("vdim", dim),
          .add_bias_kv = json.get_bool("add_bias_kv", false),
          .add_zero_attn = json.get_bool("add_zero_attn", false)};
}

void run_module(ModuleCase& golden) {
  MultiheadAttention module(options_of(golden.description().at("kwargs")));
  golden.load(module);
  const Var query = golden.input("query");
  const Var key = golden.has("key") ? golden.input("key") : query;
  const Var value = golden.has("value") ? golden.input("value") : key;
  Context ctx;
  ProbsObserver observer;
  ctx.observer = &observer;
  golden.run(ctx, [&](Context& c) {
    return module.forward(c, query, key, value, {golden.optional("key_padding_mask"), golden.optional("attn_mask")});
  });
  golden.compare("attn_weights", observer.probs);
}

}  // namespace

std::vector<GradientResult> run_multihead_golden(const std::filesystem::path& dir) {
  return run_module_cases(dir, run_module);
}

}  // namespace vit
