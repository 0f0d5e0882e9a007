#include "apps/common.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "apps/progress.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/io/checkpoint.h"
#include "vit/io/home.h"

namespace apps {

namespace {

const std::map<std::string, Format>& format_names() {
  static const std::map<std::string, Format> names = {
      {"text", Format::text}, {"json", Format::json}, {"csv", Format::csv}};
  return names;
}

}  // namespace

CLI::Validator not_negative() {
  const auto check_text = [](std::string& text) -> std::string {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const bool good = !text.empty() && *end == '\0' && std::isfinite(value) && value >= 0.0;
    return good ? "" : "expected a number of 0 or more, got '" + text + "'";
  };
  return CLI::Validator(check_text, "");
}

std::string with_example(const std::string& description, const std::string& example) {
  return description + "\ne.g. " + example;
}

void add_common_options(CLI::App& command, CommonOptions& options) {
  const std::string group = "Common options";
  command.add_option("--threads", options.threads, with_example("Threads of all work; 0: all cores", "--threads 2"))
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", options.seed, with_example("Seed of everything that is random", "--seed 7"))
      ->type_name("N")
      ->check(not_negative())  // CLI11 itself would take -1 for the largest number
      ->capture_default_str()
      ->group(group);
  command
      .add_option_function<std::string>(
          "--format",
          [&options](const std::string& name) {
            const auto found = format_names().find(name);
            if (found == format_names().end())
              throw CLI::ValidationError("--format", "unknown format '" + name + "'; known: text, json, csv");
            options.format = found->second;
          },
          with_example("How results are written: text, json (one object per line) or csv", "--format json"))
      ->type_name("F")
      ->default_str("text")
      ->group(group);
  command
      .add_option("--output", options.output,
                  with_example("File for the results; it appears when all is done, whole", "--output results.jsonl"))
      ->type_name("FILE")
      ->default_str("stdout")
      ->group(group);
  command
      .add_flag("--quiet,-q", options.quiet,
                with_example("No notes and no progress bar on stderr, errors only (default: off)", "--quiet"))
      ->group(group);
  command
      .add_flag("--verbose,-v", options.verbose, with_example("More on stderr: facts and times (default: off)", "-v"))
      ->group(group);
}

CLI::Option* add_model_option(CLI::App& command, std::string& model, const std::string& takes) {
  return command
      .add_option("--model,-m", model,
                  with_example("A checkpoint folder (timm or Hugging Face layout), a hub id in the local cache" + takes,
                               "--model path/to/checkpoint"))
      ->type_name("M")
      ->default_str("the bundled one of the verb, if any");
}

void add_precision_option(CLI::App& command, std::string& precision) {
  command.add_option("--precision", precision, with_example("Number format of the weights", "--precision f32"))
      ->type_name("P")
      ->capture_default_str();
}

void add_img_size_option(CLI::App& command, std::optional<int64_t>& img_size) {
  command
      .add_option("--img-size", img_size,
                  with_example("Side of the model's square input; the position table is resampled", "--img-size 384"))
      ->type_name("N")
      ->default_str("the checkpoint's")
      ->check(CLI::Range(int64_t{1}, int64_t{8192}));
}

void add_batch_size_option(CLI::App& command, int64_t& batch_size) {
  command
      .add_option("--batch-size,-b", batch_size,
                  with_example("Pictures that the model computes at once", "--batch-size 16"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{4096}));
}

void add_max_pixels_option(CLI::App& command, int64_t& max_pixels) {
  command
      .add_option("--max-pixels", max_pixels,
                  with_example("Pictures with more pixels are refused from their header", "--max-pixels 20000000"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
}

void require_model(const std::string& verb, const std::string& model) {
  if (!model.empty()) return;
  const std::vector<std::string> bundled = vit::bundled_models(), configs = vit::config_names("model");
  vit::fail_usage("--model is missing",
                  bundled.empty() ? ": this version has no bundled model" : "; bundled: " + vit::joined(bundled),
                  "; pass a checkpoint folder (vitkit ", verb,
                  " --model path/to/checkpoint ...), a Hugging Face hub id ",
                  "from the local cache, or a configuration for random weights",
                  configs.empty() ? std::string() : " (" + vit::joined(configs, 8) + ")");
}

std::string model_or_bundled(const std::string& verb, const std::string& model, const std::string& fallback,
                             const CommonOptions& common) {
  if (!model.empty()) return model;
  const std::vector<std::string> bundled = vit::bundled_models();
  if (std::find(bundled.begin(), bundled.end(), fallback) == bundled.end()) require_model(verb, model);
  // By its path: a folder of that name may lie here, too.
  const std::string path = vit::find_in_home(std::filesystem::path("models") / fallback).string();
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(path);
  std::vector<std::string> names;
  if (const auto labels = checkpoint.config().find("label_names"); labels != checkpoint.config().end())
    names = labels->get<std::vector<std::string>>();
  note(common, "no --model: the bundled '{}' is used{}; --model path/to/checkpoint takes another", fallback,
       names.empty() ? "" : ", which knows " + vit::joined(names, 12));
  return path;
}

const std::vector<std::string>& precisions() {
  static const std::vector<std::string> built = {"f32"};
  return built;
}

void require_precision(const std::string& precision) {
  const std::vector<std::string>& built = precisions();
  if (std::find(built.begin(), built.end(), precision) != built.end()) return;
  if (precision == "bf16" || precision == "int8")
    vit::fail_usage("--precision ", precision, " is not built in this version; available: ", vit::joined(built));
  vit::fail_usage("--precision: unknown precision '", precision, "'; available: ", vit::joined(built));
}

void print_error(std::string_view line) {
  clear_progress();
  // fmt::print throws when stderr is closed; a lost message is no reason to stop.
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fputc('\n', stderr);
}

}  // namespace apps
