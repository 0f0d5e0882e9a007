// vitkit info: a model's parts, or what this build knows.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "apps/attention_info.h"
#include "apps/lists.h"
#include "apps/model_facts.h"
#include "apps/model_tree.h"
#include "apps/output.h"
#include "apps/train_keys.h"
#include "apps/verbs.h"
#include "detection/model.h"
#include "detection/processor.h"
#include "vit/core/check.h"
#include "vit/core/config_text.h"
#include "vit/core/names.h"
#include "vit/core/parallel.h"
#include "vit/image/decode.h"
#include "vit/image/preprocess.h"
#include "vit/io/home.h"
#include "vit/kernels/kernels.h"
#include "vit/models/build.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace apps {

namespace {

struct InfoOptions {
  std::string model, list, attention, scores;
  std::optional<int64_t> img_size;
};

int print_train_keys(Output& output) {
  if (output.format() == Format::text) output.write({}, train_keys_text());
  if (output.format() != Format::text)
    for (const auto& [group, key] : train_keys())
      output.write({{"kind", "train_keys"},
                    {"name", key.name},
                    {"group", group},
                    {"type", key.type},
                    {"default", key.value},
                    {"doc", key.doc}},
                   "");
  output.finish();
  return 0;
}

int print_list(const std::string& kind, Output& output) {
  if (kind == "train_keys") return print_train_keys(output);
  if (kind == "attentions") return print_attentions(output);
  const std::vector<ListedName> names = listed(kind);
  size_t width = 0;
  for (const ListedName& entry : names) width = std::max(width, entry.name.size());
  for (const auto& [name, summary] : names) {
    Record record = {{"kind", kind}, {"name", name}};
    if (!summary.empty()) record["summary"] = summary;
    output.write(record, summary.empty() ? name + "\n" : fmt::format("{:<{}}  {}\n", name, width, summary));
  }
  output.finish();
  return 0;
}

int print_build(Output& output) {
  std::string home;
  try {
    home = vit::home_dir().string();
  } catch (const vit::Error& error) {
    home = error.what();  // worth knowing, and no reason to fail
  }
  const char* isa = vit::kernels::kernels().name;
  output.write(
      {{"version", VITKIT_VERSION},
       {"kernels", isa},
       {"threads", vit::num_threads()},
       {"home", home},
       {"formats", vit::known_image_formats()}},
      fmt::format("vitkit {}\nkernels: {}, {} threads\nconfigurations: {}\npictures: {}\nlists: {}\n", VITKIT_VERSION,
                  isa, vit::num_threads(), home, vit::known_image_formats(), vit::joined(list_names())));
  output.finish();
  return 0;
}

void write_module(Output& output, const TreeNode& node) {
  Record parameters = Record::object();
  for (const auto& [name, shape] : node.parameters) parameters[name] = std::vector<int64_t>(shape.begin(), shape.end());
  output.write({{"module", node.path},
                {"params", node.params},
                {"bytes", node.bytes},
                {"flops", node.flops},
                {"parameters", parameters}},
               "");
  for (const TreeNode& child : node.children) write_module(output, child);
}

int print_model(const InfoOptions& options, const CommonOptions& common, Output& output) {
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(options.model);
  vit::LoadModelOptions load{.input_size = {}, .seed = common.seed, .zero_weights = true};
  if (options.img_size) load.input_size = {*options.img_size, *options.img_size};
  const std::unique_ptr<vit::ImageModel> model = vit::load_model(checkpoint, load);
  const vit::ModelInfo& info = model->info();
  const TreeNode tree = model_tree(*model);
  std::string preprocessing;
  try {
    const auto* detector = dynamic_cast<const detection::DetectionModel*>(model.get());
    preprocessing = (detector ? detection::load_processor(checkpoint, *detector, options.img_size)
                              : vit::load_preprocessor(checkpoint, *model, options.img_size))
                        .description();
  } catch (const vit::Error& error) {
    preprocessing = vit::str("none: ", error.what());  // a model of one channel, say, can still be described
  }
  const std::string from = checkpoint.has_weights() ? checkpoint.dir().string() : checkpoint.yaml().string();
  std::string labels = "none: the output is features";
  if (model->verb() == "caption") labels = "none: it writes captions (vitkit caption)";
  if (info.num_classes > 0) labels = label_source_text(vit::load_labels(checkpoint, *model).source());

  // Layers of one shape look alike in the tree, so the mechanisms are named here.
  const vit::ConfigNode described = model->describe().get("attention");
  const std::string attention = described.is_null() ? "the family's own" : vit::inline_yaml(described);

  if (output.format() != Format::text) {
    if (output.format() == Format::json)
      output.line(json_line({{"model", options.model},
                             {"architecture", info.name},
                             {"path", from},
                             {"has_weights", checkpoint.has_weights()},
                             {"input", {info.input_channels, info.input_size[0], info.input_size[1]}},
                             {"classes", info.num_classes},
                             {"attention", attention},
                             {"labels", labels},
                             {"preprocessing", preprocessing},
                             {"params", tree.params},
                             {"bytes", tree.bytes},
                             {"flops", tree.flops}}));
    write_module(output, tree);
  } else {
    output.line(fmt::format(
        "model:          {} ({})\nfrom:           {}{}\ninput:          {} x {} x {}, {} classes\n"
        "attention:      {}\npre-processing: {}\nlabels:         {}\n"
        "total:          {:.2f} M parameters, {:.1f} MB as f32, {:.2f} GFLOP per picture\n",
        options.model, info.name, from, checkpoint.has_weights() ? "" : " (no weights)", info.input_channels,
        info.input_size[0], info.input_size[1], info.num_classes, attention, preprocessing, labels,
        1e-6 * static_cast<double>(tree.params), 1e-6 * static_cast<double>(tree.bytes), 1e-9 * tree.flops));
    output.write({}, tree_text(tree));
  }
  output.finish();
  return 0;
}

int print_info(const InfoOptions& options, const CommonOptions& common) {
  if (!options.model.empty() && !options.list.empty()) vit::fail_usage("--model and --list cannot be used together");
  if (!options.attention.empty() && !(options.model.empty() && options.list.empty()))
    vit::fail_usage("--attention cannot be used together with --model or --list");
  if (!options.scores.empty() && options.attention.empty())
    vit::fail_usage("--scores draws a mechanism: give --attention NAME (vitkit info --list attentions)");
  Output output(common);
  if (!options.attention.empty()) return print_attention({options.attention, options.scores, common.seed}, output);
  if (!options.list.empty()) return print_list(options.list, output);
  if (options.model.empty()) return print_build(output);
  return print_model(options, common, output);
}

}  // namespace

Action add_info(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<InfoOptions>();
  add_model_option(command, options->model, ", or a configuration's name")->default_str("facts about this build");
  add_img_size_option(command, options->img_size);
  command
      .add_option("--list", options->list,
                  with_example("What this build knows, one per line: " + vit::joined(list_names()), "--list models"))
      ->type_name("KIND")
      ->default_str("none");
  command
      .add_option("--attention", options->attention,
                  with_example("All about one attention mechanism, a name or a map with its options",
                               "--attention '{type: self, qk_norm: layer_norm}'"))
      ->type_name("NAME")
      ->default_str("none");
  command
      .add_option("--scores", options->scores,
                  with_example("Draws what that mechanism looks at in a generated picture", "--scores self.png"))
      ->type_name("FILE.png")
      ->default_str("none");
  command.footer(
      "EXAMPLES\n"
      "  vitkit info --model path/to/checkpoint\n"
      "  vitkit info --model vit_base_patch16_224 --format json\n"
      "  vitkit info --list attentions\n"
      "  vitkit info --attention self --scores self.png");
  return [options, &common] { return print_info(*options, common); };
}

}  // namespace apps
