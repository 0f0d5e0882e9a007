#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/parity/gradient_case.h"
#include "vit/autograd/tape.h"
#include "vit/io/json.h"
#include "vit/io/safetensors.h"
#include "vit/nn/multihead_attention.h"

namespace vit {

namespace {

/// Keeps the probabilities.
struct ProbsObserver : Observer {
  Tensor probs;
  bool wants(const std::string& name) override { return name == "probs"; }
  void observe(const std::string&, const Tensor& value) override { probs = value; }
};

/// A file that Python's json module wrote: it has NaN, which JSON has not.
nlohmann::json load_python_json(const std::filesystem::path& path) {
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return nlohmann::json::parse(std::regex_replace(text, std::regex("([\\[,:]\\s*)NaN"), "$1null"));
}

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

class ModuleCase {
 public:
  ModuleCase(const SafetensorsFile& golden, std::string name, const nlohmann::json& description)
      : golden_(golden),
        name_(std::move(name)),
        atol_(description.at("atol")),
        module_(options_of(description.at("kwargs"))) {
    module_.visit_parameters([&](const std::string& parameter_name, Parameter& parameter) {
      parameter.value = Var::leaf(tensor("w." + parameter_name));
      inputs_.emplace_back(parameter_name, parameter.value);
    });
  }

  std::vector<GradientResult> run() {
    const Var query = input("query");
    const Var key = golden_.find(name_ + "/key") ? input("key") : query;
    const Var value = golden_.find(name_ + "/value") ? input("value") : key;
    Context ctx;
    ProbsObserver observer;
    ctx.observer = &observer;
    Tape tape(ctx);
    ctx.tape = &tape;
    const Var output = module_.forward(ctx, query, key, value, {optional("key_padding_mask"), optional("attn_mask")});
    const Tensor r = tensor("R");
    double loss = 0.0;
    for (int64_t i = 0; i < r.numel(); ++i) loss += static_cast<double>(output.value().f32()[i]) * r.f32()[i];
    tape.backward(output, r);
    compare("output", output.value());
    compare("attn_weights", observer.probs);
    compare("loss", Tensor::full({}, static_cast<float>(loss)));
    for (const auto& [name, leaf] : inputs_) compare("grad." + name, leaf.grad());
    return std::move(results_);
  }

 private:
  Tensor tensor(const std::string& name) const { return golden_.view(name_ + "/" + name); }
  Tensor optional(const std::string& name) const { return golden_.find(name_ + "/" + name) ? tensor(name) : Tensor(); }
  Var input(const std::string& name) {
    inputs_.emplace_back(name, Var::leaf(tensor(name)));
    return inputs_.back().second;
  }
  void compare(const std::string& name, const Tensor& ours) {
    const Tensor reference = tensor(name);
    GradientResult result{name_ + "/" + name, 0.0, atol_.at(name).get<double>()};
    if (!ours.defined() || ours.numel() != reference.numel())
      result.max_abs = std::nan("");
    else
      for (int64_t i = 0; i < ours.numel(); ++i) {
        const double d = std::abs(static_cast<double>(ours.f32()[i]) - reference.f32()[i]);
        if (!(d <= result.max_abs)) result.max_abs = d;
      }
    results_.push_back(std::move(result));
  }

  const SafetensorsFile& golden_;
  std::string name_;
  const nlohmann::json& atol_;
  MultiheadAttention module_;
  std::vector<std::pair<std::string, Var>> inputs_;
  std::vector<GradientResult> results_;
};

}  // namespace

std::vector<GradientResult> run_multihead_golden(const std::filesystem::path& dir) {
  const SafetensorsFile golden = SafetensorsFile::open(dir / "golden.safetensors");
  const nlohmann::json file = load_python_json(dir / "case.json");
  std::vector<GradientResult> results;
  for (const auto& [name, description] : file.at("modules").items())
    for (GradientResult& result : ModuleCase(golden, name, description).run()) results.push_back(std::move(result));
  return results;
}

}  // namespace vit
