// vitkit export: a checkpoint's weights in another precision, in a folder that --model takes.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "apps/output.h"
#include "apps/verbs.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/io/checkpoint.h"
#include "vit/io/half.h"
#include "vit/io/safetensors.h"

namespace apps {

namespace {

namespace fs = std::filesystem;

struct ExportOptions {
  std::string model, folder;
  std::string weights = "f16";
  bool overwrite = false;
};

vit::Tensor converted(const vit::Tensor& tensor, const std::string& name, const std::string& precision) {
  const bool real =
      tensor.dtype() == vit::DType::f32 || tensor.dtype() == vit::DType::f16 || tensor.dtype() == vit::DType::bf16;
  if (!real) return tensor;  // counters and index tables stay what they are
  const vit::Tensor values = vit::to_f32(tensor);
  if (precision == "f16") return vit::to_f16(values, name.c_str());
  return precision == "bf16" ? vit::to_bf16(values) : values;
}

/// Everything else that makes the folder a checkpoint: configuration, pre-processing, tokenizer.
void copy_companions(const fs::path& from, const fs::path& to) {
  for (const auto& entry : fs::directory_iterator(from)) {
    const std::string name = entry.path().filename().string();
    const bool wanted = entry.path().extension() == ".json" || entry.path().extension() == ".txt";
    if (!entry.is_regular_file() || !wanted || name == "train_state.json" || name == "model.safetensors.index.json")
      continue;
    vit::write_file_atomically(to / name, vit::read_file(entry.path()));
  }
}

int export_model(const ExportOptions& options, const CommonOptions& common) {
  require_model("export", options.model);
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(options.model);
  if (!checkpoint.has_weights()) vit::fail_usage(options.model, ": a configuration has no weights to export");
  Output output(common);
  std::vector<vit::SafetensorsEntry> entries;
  const vit::Weights& weights = checkpoint.weights();
  for (const std::string& name : weights.names())
    entries.push_back({name, converted(weights.get(name), name, options.weights)});
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) vit::fail(options.folder, ": cannot be made: ", error.message());
  if (fs::equivalent(options.folder, checkpoint.dir(), error))
    vit::fail_usage("export: ", options.folder, " is the checkpoint itself; name another folder");
  const fs::path file = fs::path(options.folder) / "model.safetensors";
  if (fs::exists(file, error) && !options.overwrite)
    vit::fail_usage("export: ", options.folder, " holds a model; name another folder, or pass --overwrite");
  vit::write_safetensors(file, entries);
  copy_companions(checkpoint.dir(), options.folder);
  const auto bytes = static_cast<int64_t>(fs::file_size(file));
  output.write({{"model", options.model},
                {"folder", options.folder},
                {"weights", options.weights},
                {"tensors", entries.size()},
                {"bytes", bytes}},
               fmt::format("{}: {} tensors in {}, {:.2f} MB\n", options.folder, entries.size(), options.weights,
                           1e-6 * static_cast<double>(bytes)));
  output.finish();
  return 0;
}

}  // namespace

Action add_export(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<ExportOptions>();
  add_model_option(command, options->model, "; its files beside the weights are copied");
  command.add_option("folder", options->folder, with_example("Folder of the new checkpoint", "models/mine"))
      ->type_name("DIR")
      ->required();
  command
      .add_option("--weights", options->weights,
                  with_example("Precision that weights are stored in; computing stays in f32", "--weights bf16"))
      ->capture_default_str()
      ->check(CLI::IsMember({"f16", "bf16", "f32"}));
  command.add_flag("--overwrite", options->overwrite,
                   with_example("Replace a model in the folder (default: off)", "--overwrite"));
  command.footer(
      "EXAMPLES\n"
      "  vitkit export --model runs/cifar10/checkpoints/best models/mine\n"
      "  vitkit export --model path/to/checkpoint --weights f32 plain/");
  return [options, &common] { return export_model(*options, common); };
}

}  // namespace apps
