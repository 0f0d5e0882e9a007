#include "tests/parity/module_case.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>

#include "vit/autograd/tape.h"

namespace vit {

namespace {

/// A file that Python's json module wrote: it has NaN, which JSON has not.
nlohmann::json load_python_json(const std::filesystem::path& path) {
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return nlohmann::json::parse(std::regex_replace(text, std::regex("([\\[,:]\\s*)NaN"), "$1null"));
}

}  // namespace

ModuleCase::ModuleCase(const SafetensorsFile& golden, std::string name, const nlohmann::json& description)
    : golden_(golden), name_(std::move(name)), description_(description) {}

Var ModuleCase::input(const std::string& name) {
  inputs_.emplace_back(name, Var::leaf(tensor(name)));
  return inputs_.back().second;
}

void ModuleCase::load(Module& module) {
  module.visit_parameters([&](const std::string& name, Parameter& parameter) {
    const Tensor value = tensor("w." + name);
    check(value.shape() == parameter.shape, name_, ": ", name, " is ", parameter.shape, ", the reference has ",
          value.shape());
    parameter.value = parameter.buffer ? Var(value.clone()) : Var::leaf(value);
    (parameter.buffer ? buffers_ : inputs_).emplace_back(name, parameter.value);
  });
}

void ModuleCase::run(Context& context, const std::function<Var(Context&)>& pass) {
  Tape tape(context);
  context.tape = &tape;
  const Var output = pass(context);
  const Tensor r = tensor("R");
  check(output.shape() == r.shape(), name_, ": the output is ", output.shape(), ", the reference's ", r.shape());
  double loss = 0.0;
  for (int64_t i = 0; i < r.numel(); ++i) loss += static_cast<double>(output.value().f32()[i]) * r.f32()[i];
  compare("output", output.value());
  compare("loss", Tensor::full({}, static_cast<float>(loss)));
  tape.backward(output, r);
  context.tape = nullptr;
  for (const auto& [name, leaf] : inputs_) compare("grad." + name, leaf.grad());
  for (const auto& [name, buffer] : buffers_)
    if (has("after." + name)) compare("after." + name, buffer.value());
}

void ModuleCase::compare(const std::string& name, const Tensor& ours) {
  const Tensor reference = tensor(name);
  GradientResult result{name_ + "/" + name, 0.0, description_.at("atol").at(name).get<double>()};
  if (!ours.defined() || ours.numel() != reference.numel())
    result.max_abs = std::nan("");
  else
    for (int64_t i = 0; i < ours.numel(); ++i) {
      const double d = std::abs(static_cast<double>(ours.f32()[i]) - reference.f32()[i]);
      if (!(d <= result.max_abs)) result.max_abs = d;
    }
  results_.push_back(std::move(result));
}

std::vector<GradientResult> run_module_cases(const std::filesystem::path& dir,
                                             const std::function<void(ModuleCase&)>& run) {
  const SafetensorsFile golden = SafetensorsFile::open(dir / "golden.safetensors");
  const nlohmann::json file = load_python_json(dir / "case.json");
  std::vector<GradientResult> results;
  for (const auto& [name, description] : file.at("modules").items()) {
    ModuleCase module(golden, name, description);
    run(module);
    for (GradientResult& result : module.take_results()) results.push_back(std::move(result));
  }
  return results;
}

}  // namespace vit
