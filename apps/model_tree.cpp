#include "apps/model_tree.h"

#include <fmt/format.h>

#include <map>

#include "vit/core/context.h"
#include "vit/models/model.h"

namespace apps {

namespace {

/// Work by the module path that an op ran in.
class ScopeCosts : public vit::CostSink {
 public:
  void add_cost(const std::string& scope, std::string_view, double flops, double) override { flops_[scope] += flops; }
  /// Work of `path` and everything below it.
  double below(const std::string& path) const {
    double sum = 0.0;
    for (const auto& [scope, flops] : flops_)
      if (path.empty() || scope == path || scope.starts_with(path + ".")) sum += flops;
    return sum;
  }

 private:
  std::map<std::string, double> flops_;
};

bool is_below(const std::string& path, const std::string& parent) {
  return parent.empty() ? !path.empty() : path.starts_with(parent + ".");
}

/// Puts a module under the deepest node on the way to it; modules come parents first. Parts without a name of their own
/// are lines of whom they belong to.
void insert(TreeNode& root, TreeNode node) {
  TreeNode* parent = &root;
  for (bool descended = true; descended;) {
    descended = false;
    if (!parent->children.empty() && is_below(node.path, parent->children.back().path)) {
      parent = &parent->children.back();
      descended = true;
    }
  }
  if (!parent->children.empty() && parent->children.back().path == node.path) {
    auto& parameters = parent->children.back().parameters;
    parameters.insert(parameters.end(), node.parameters.begin(), node.parameters.end());
    return;
  }
  node.name = parent->path.empty() ? node.path : node.path.substr(parent->path.size() + 1);
  parent->children.push_back(std::move(node));
}

void add_up(TreeNode& node, const ScopeCosts& costs) {
  for (const auto& [name, shape] : node.parameters) node.params += shape.numel();
  for (TreeNode& child : node.children) {
    add_up(child, costs);
    node.params += child.params;
  }
  std::erase_if(node.children, [](const TreeNode& child) { return child.params == 0 && child.flops == 0.0; });
  node.bytes = node.params * static_cast<int64_t>(sizeof(float));
  node.flops = costs.below(node.path);
}

/// Equal but for the number at the end of their names: one line stands for both.
bool same_form(const TreeNode& a, const TreeNode& b) {
  const auto stem = [](const TreeNode& node) {
    const std::string& name = node.name;
    const size_t end = name.find_last_not_of("0123456789");
    return end + 1 == name.size() ? std::string() : name.substr(0, end + 1);
  };
  return !stem(a).empty() && stem(a) == stem(b) && a.params == b.params && a.flops == b.flops &&
         a.parameters == b.parameters && a.children.size() == b.children.size();
}

std::string shapes_text(const TreeNode& node) {
  std::string text;
  for (const auto& [name, shape] : node.parameters) text += (text.empty() ? "" : "  ") + name + " " + shape.to_string();
  return text;
}

void append(std::string& text, const TreeNode& node, const std::string& name, int depth) {
  // Ops report their work under the module that called them: a Linear's stands with its attention or MLP.
  const std::string work = node.flops > 0.0 ? fmt::format("{:.2f}", 1e-6 * node.flops) : "";
  std::string line =
      fmt::format("{:<30} {:>11} {:>9.3f} {:>10}  {}", std::string(static_cast<size_t>(2 * depth), ' ') + name,
                  node.params, 1e-6 * static_cast<double>(node.bytes), work, shapes_text(node));
  line.resize(line.find_last_not_of(' ') + 1);
  text += line + "\n";
  for (size_t i = 0; i < node.children.size();) {
    size_t last = i;
    while (last + 1 < node.children.size() && same_form(node.children[i], node.children[last + 1])) ++last;
    const TreeNode& child = node.children[i];
    const std::string& last_name = node.children[last].name;
    const std::string shown =
        last == i ? child.name
                  : fmt::format("{}-{} ({} x)", child.name,
                                last_name.substr(last_name.find_last_not_of("0123456789") + 1), last - i + 1);
    append(text, child, shown, depth + 1);
    i = last + 1;
  }
}

}  // namespace

TreeNode model_tree(vit::ImageModel& model) {
  const vit::ModelInfo& info = model.info();
  ScopeCosts costs;
  vit::Context ctx;
  ctx.costs = &costs;
  model.forward(ctx, vit::Tensor::zeros({1, info.input_channels, info.input_size[0], info.input_size[1]}));
  TreeNode root{.path = "", .name = info.name, .parameters = {}, .children = {}};
  model.visit_modules([&](const std::string& path, vit::Module& module) {
    TreeNode node{.path = path, .name = "", .parameters = {}, .children = {}};
    for (const auto& [name, parameter] : module.own_parameters()) node.parameters.emplace_back(name, parameter->shape);
    if (path.empty())
      root.parameters.insert(root.parameters.end(), node.parameters.begin(), node.parameters.end());
    else
      insert(root, std::move(node));
  });
  add_up(root, costs);
  return root;
}

std::string tree_text(const TreeNode& root) {
  std::string text =
      fmt::format("{:<30} {:>11} {:>9} {:>10}  {}\n", "module", "parameters", "MB", "MFLOP", "own parameters");
  append(text, root, root.name, 0);
  return text;
}

}  // namespace apps
