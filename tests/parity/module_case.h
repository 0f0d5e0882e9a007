// A module of a reference case with gradients: its tensors by name ("NAME/input", "NAME/w.fc1.weight",
// "NAME/grad.input"), the tolerances of each, and what came out.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/parity/gradient_case.h"
#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/io/safetensors.h"
#include "vit/nn/module.h"

namespace vit {

class ModuleCase {
 public:
  ModuleCase(const SafetensorsFile& golden, std::string name, const nlohmann::json& description);

  const nlohmann::json& description() const { return description_; }
  Tensor tensor(const std::string& name) const { return golden_.view(name_ + "/" + name); }
  bool has(const std::string& name) const { return golden_.find(name_ + "/" + name) != nullptr; }
  /// Undefined where the case has none.
  Tensor optional(const std::string& name) const { return has(name) ? tensor(name) : Tensor(); }

  /// A tensor of the case whose gradient will be compared.
  Var input(const std::string& name);
  /// Gives a module its weights; their gradients and, after training, its buffers will be compared.
  void load(Module& module);
  /// Runs `pass` on a tape, and compares its output, loss and all gradients. `context` has the flags.
  void run(Context& context, const std::function<Var(Context&)>& pass);
  void compare(const std::string& name, const Tensor& ours);

  std::vector<GradientResult> take_results() { return std::move(results_); }

 private:
  const SafetensorsFile& golden_;
  std::string name_;
  const nlohmann::json& description_;
  std::vector<std::pair<std::string, Var>> inputs_, buffers_;
  std::vector<GradientResult> results_;
};

/// Calls `run` for every module of the case in a folder, and collects what it compared.
std::vector<GradientResult> run_module_cases(const std::filesystem::path& dir,
                                             const std::function<void(ModuleCase&)>& run);

}  // namespace vit
