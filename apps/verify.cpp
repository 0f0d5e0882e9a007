// vitkit verify: compares a model with the outputs of its original implementation.
#include "vit/verify.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "apps/model_facts.h"
#include "apps/output.h"
#include "apps/verbs.h"
#include "vit/core/check.h"
#include "vit/models/build.h"

namespace apps {

namespace {

struct VerifyVerbOptions {
  std::string model, golden;
  double rtol = vit::VerifyOptions{}.rtol;
};

void write(Output& output, const vit::Comparison& result) {
  Record record = {{"name", result.name},   {"max_abs", result.max_abs},
                   {"rel", result.rel},     {"ok", result.ok},
                   {"limit", result.limit}, {"limit_of", result.relative ? "rel" : "max_abs"}};
  // A CSV has the same columns in every row; JSON says it only where there is something to say.
  if (output.format() == Format::csv || !result.detail.empty()) record["detail"] = result.detail;
  output.write(record,
               fmt::format("{:<6} {:<32} max_abs {:.2e}  rel {:.2e}  (limit {:.1e} on {}){}{}\n",
                           result.ok ? "ok" : "FAILED", result.name, result.max_abs, result.rel, result.limit,
                           result.relative ? "rel" : "max_abs", result.detail.empty() ? "" : ": ", result.detail));
}

int verify(const VerifyVerbOptions& options, const CommonOptions& common) {
  require_model("verify", options.model);
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(options.model);
  std::filesystem::path golden = options.golden;
  if (golden.empty() && !checkpoint.has_weights())
    vit::fail_usage(options.model, " is a configuration without weights; name the reference outputs with --golden");
  if (golden.empty()) golden = checkpoint.dir() / "golden.safetensors";
  std::error_code error;
  if (!std::filesystem::exists(golden, error))
    vit::fail_usage("there is no golden file ", golden.string(), "; name one with --golden");
  Output output(common);
  const std::unique_ptr<vit::ImageModel> model = vit::load_model(checkpoint, {.input_size = {}, .seed = common.seed});
  note_random_weights(common, options.model, checkpoint.has_weights());
  const vit::VerifyReport report = vit::verify_model(*model, {.golden = golden, .rtol = options.rtol});
  size_t passed = 0;
  for (const vit::Comparison& result : report.compared) {
    write(output, result);
    passed += result.ok ? 1 : 0;
  }
  output.finish();
  for (const std::string& name : report.unknown)
    note(common, "not compared: {} (the model has no output of that name)", name);
  if (report.compared.empty()) print_error("vitkit verify: nothing was compared");
  note(common, "{} compared, {} out of tolerance", report.compared.size(), report.compared.size() - passed);
  return report.ok() ? 0 : 1;
}

}  // namespace

Action add_verify(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<VerifyVerbOptions>();
  add_model_option(command, options->model, "");
  command
      .add_option("--golden", options->golden,
                  with_example("Inputs and reference outputs; tolerances come from a case.json beside it",
                               "--golden other/golden.safetensors"))
      ->type_name("F")
      ->default_str("golden.safetensors in the model's folder");
  command
      .add_option("--rtol", options->rtol,
                  with_example("Largest |ours - reference| / |reference| for tensors without a tolerance of their own",
                               "--rtol 1e-5"))
      ->type_name("X")
      ->capture_default_str()
      ->check(not_negative());
  command.footer(
      "A golden file is made in Python, of the reference's input and outputs by name:\n"
      "  safetensors.torch.save_file({\"input\": x, \"output\": model(x)},\n"
      "                              \"golden.safetensors\")\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit verify --model path/to/checkpoint\n"
      "  vitkit verify --model path/to/checkpoint --golden golden.safetensors");
  return [options, &common] { return verify(*options, common); };
}

}  // namespace apps
