#include "vit/models/load.h"

#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/kernels/kernels.h"

namespace vit {

namespace {

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

/// A name with its first number between dots replaced by {i}, and that number: "blocks.3.norm1" -> "blocks.{i}.norm1",
/// "3".
std::pair<std::string, std::string> generalised(const std::string& name) {
  for (size_t begin = name.find('.'); begin != std::string::npos; begin = name.find('.', begin + 1)) {
    const size_t end = std::min(name.find('.', begin + 1), name.size());
    const std::string part = name.substr(begin + 1, end - begin - 1);
    if (!part.empty() && part.find_first_not_of("0123456789") == std::string::npos)
      return {name.substr(0, begin + 1) + "{i}" + name.substr(end), part};
  }
  return {name, ""};
}

/// A key map made ready for questions.
class Translator {
 public:
  explicit Translator(const KeyMap& keys) {
    for (const KeyRule& rule : keys.rules) {
      KeyRule& ready = rules_[rule.ours] = rule;
      for (std::string& name : ready.theirs) replace_all(name, "{p}", keys.prefix);
    }
    for (std::string name : keys.ignored) {
      replace_all(name, "{p}", keys.prefix);
      ignored_.insert(name);
    }
  }

  std::vector<std::string> theirs(const std::string& ours) const {
    const KeyRule* rule = find(ours);
    if (!rule) return {ours};
    std::vector<std::string> names = rule->theirs;
    if (rule->ours != ours)
      for (std::string& name : names) replace_all(name, "{i}", generalised(ours).second);
    return names;
  }

  bool transposed(const std::string& ours) const {
    const KeyRule* rule = find(ours);
    return rule && rule->transposed;
  }

  /// torch's batch norms count their updates, for a momentum that nobody uses.
  bool ignores(const std::string& name) const {
    return name.ends_with(".num_batches_tracked") || ignored_.count(name) || ignored_.count(generalised(name).first);
  }

 private:
  const KeyRule* find(const std::string& ours) const {
    auto rule = rules_.find(ours);
    if (rule == rules_.end()) rule = rules_.find(generalised(ours).first);
    return rule == rules_.end() ? nullptr : &rule->second;
  }

  std::map<std::string, KeyRule> rules_;
  std::set<std::string> ignored_;
};

/// A tensor's extents as ours has them: a matrix's the other way round, where that is said.
std::vector<int64_t> extents_of(const TensorInfo& info, bool transposed) {
  std::vector<int64_t> extents(info.shape.begin(), info.shape.end());
  if (transposed && extents.size() == 2) std::swap(extents[0], extents[1]);
  return extents;
}

/// Shape of tensors stacked along their first axis; nothing when they do not stack.
std::optional<Shape> stacked_shape(const std::vector<const TensorInfo*>& parts, bool transposed) {
  std::vector<int64_t> extents = extents_of(*parts[0], transposed);
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::vector<int64_t> next = extents_of(*parts[i], transposed);
    if (next.empty() || next.size() != extents.size() || !std::equal(next.begin() + 1, next.end(), extents.begin() + 1))
      return std::nullopt;
    extents[0] += next[0];
  }
  return Shape(extents);
}

Tensor transposed_matrix(const Tensor& matrix) {
  const int64_t rows = matrix.size(0), cols = matrix.size(1);
  Tensor turned = Tensor::empty({cols, rows});
  kernels::kernels().transpose(turned.f32(), rows, matrix.f32(), cols, rows, cols);
  return turned;
}

/// Where one parameter's value comes from.
struct Source {
  Parameter* parameter;
  std::vector<std::string> tensors;
  bool transposed = false;
  Tensor ready{};  // a value that had to be adapted, already in memory
};

/// All of a module's parameters; loaded and packed together.
struct ModuleSources {
  Module* module;
  std::vector<Source> sources;
};

class Loader {
 public:
  Loader(ImageModel& model, const Weights& weights, const KeyMap& keys)
      : model_(model), weights_(weights), translator_(keys) {}

  void plan() {
    model_.visit_modules([&](const std::string& path, Module& module) {
      ModuleSources& entry = modules_.emplace_back(ModuleSources{&module, {}});
      for (const auto& [name, parameter] : module.own_parameters())
        plan_parameter(dotted(path, name), *parameter, entry);
    });
    for (const std::string& name : weights_.names())
      if (!used_.count(name) && !translator_.ignores(name)) report_.unexpected.push_back(name);
    report_.throw_unless_ok(weights_.path().string());
  }

  void run(Purpose purpose) {
    parallel_try(static_cast<int64_t>(modules_.size()), [&](int64_t index) {
      ModuleSources& entry = modules_[static_cast<size_t>(index)];
      std::vector<std::pair<std::string, Tensor>> mapped;
      for (Source& source : entry.sources) source.parameter->value = Var(fetch(source, mapped));
      if (purpose == Purpose::inference) entry.module->prepare();
      // What prepare() did not pack is small: it moves out of the mapped file, which may then change or go away.
      for (Source& source : entry.sources) {
        Var& value = source.parameter->value;
        if (value.defined()) value = Var(value.value().clone());
      }
      for (const auto& [name, tensor] : mapped) weights_.release(name, tensor);
    });
  }

 private:
  void plan_parameter(const std::string& name, Parameter& parameter, ModuleSources& entry) {
    Source source{&parameter, translator_.theirs(name), translator_.transposed(name)};
    std::vector<const TensorInfo*> parts;
    for (const std::string& theirs : source.tensors) {
      used_.insert(theirs);
      const TensorInfo* info = weights_.find(theirs);
      if (info) parts.push_back(info);
      if (!info) report_.missing.push_back(theirs);
    }
    if (parts.size() == source.tensors.size()) {
      const std::optional<Shape> found = stacked_shape(parts, source.transposed);
      if (parts.size() == 1 && !source.transposed && !(parts[0]->shape == parameter.shape))
        source.ready = model_.adapt_parameter(name, parameter.shape, weights_.get(source.tensors[0]));
      const bool adapted = source.ready.defined() && source.ready.shape() == parameter.shape;
      if (!adapted && (!found || !(*found == parameter.shape)))
        report_.mismatched.push_back({source.tensors[0], parameter.shape, found ? *found : parts[0]->shape});
    }
    entry.sources.push_back(std::move(source));
  }

  Tensor fetch(const Source& source, std::vector<std::pair<std::string, Tensor>>& mapped) const {
    if (source.ready.defined()) return source.ready;
    std::vector<Tensor> parts;
    for (const std::string& name : source.tensors) {
      mapped.emplace_back(name, weights_.get(name));
      parts.push_back(to_f32(mapped.back().second));
      if (source.transposed && parts.back().rank() == 2) parts.back() = transposed_matrix(parts.back());
    }
    if (parts.size() == 1) return parts[0];
    Tensor stacked = Tensor::empty(source.parameter->shape);
    float* at = stacked.f32();
    for (const Tensor& part : parts) {
      std::memcpy(at, part.f32(), static_cast<size_t>(part.nbytes()));
      at += part.numel();
    }
    return stacked;
  }

  ImageModel& model_;
  const Weights& weights_;
  Translator translator_;
  std::vector<ModuleSources> modules_;
  std::set<std::string> used_;
  LoadReport report_;
};

/// Gives every parameter a value and prepares the model, module by module, in parallel.
void fill_parameters(ImageModel& model, Purpose purpose,
                     const std::function<void(const std::string&, Parameter&)>& fill) {
  std::vector<std::pair<std::string, Module*>> modules;
  model.visit_modules([&](const std::string& path, Module& module) { modules.emplace_back(path, &module); });
  parallel_try(static_cast<int64_t>(modules.size()), [&](int64_t index) {
    const auto& [path, module] = modules[static_cast<size_t>(index)];
    for (const auto& [name, parameter] : module->own_parameters()) fill(dotted(path, name), *parameter);
    if (purpose == Purpose::inference) module->prepare();
  });
}

}  // namespace

void initialise_parameter(const std::string& name, Parameter& parameter, uint64_t seed) {
  Tensor value = Tensor::zeros(parameter.shape);
  Rng rng(seed, Rng::stream_of(name));
  const float amount = parameter.init.value;
  switch (parameter.init.kind) {
    case Init::Kind::zeros:
      break;
    case Init::Kind::constant:
      value = Tensor::full(parameter.shape, amount);
      break;
    case Init::Kind::truncated_normal:
      fill_truncated_normal(value, rng, amount);
      break;
    case Init::Kind::normal:
      fill_normal(value, rng, amount);
      break;
    case Init::Kind::uniform:
      fill_uniform(value, rng, -amount, amount);
      break;
  }
  parameter.value = Var(std::move(value));
}

std::vector<std::string> checkpoint_names(const KeyMap& keys, const std::string& parameter) {
  return Translator(keys).theirs(parameter);
}

bool checkpoint_transposed(const KeyMap& keys, const std::string& parameter) {
  return Translator(keys).transposed(parameter);
}

KeyMap prefixed_keys(Module& model, const std::string& prefix) {
  KeyMap keys{{}, prefix, {}};
  model.visit_parameters([&](const std::string& name, Parameter&) {
    const std::string pattern = generalised(name).first;
    keys.rules.push_back({pattern, {"{p}" + pattern}});
  });
  return keys;
}

void load_parameters(ImageModel& model, const Weights& weights, const KeyMap& keys, Purpose purpose) {
  Loader loader(model, weights, keys);
  loader.plan();
  loader.run(purpose);
}

void zero_parameters(ImageModel& model, Purpose purpose) {
  fill_parameters(model, purpose, [](const std::string&, Parameter& parameter) {
    parameter.value = Var(Tensor::zeros(parameter.shape));
  });
}

void initialise_parameters(ImageModel& model, uint64_t seed, Purpose purpose) {
  fill_parameters(model, purpose,
                  [&](const std::string& name, Parameter& parameter) { initialise_parameter(name, parameter, seed); });
}

}  // namespace vit
