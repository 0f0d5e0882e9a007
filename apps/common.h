// What all verbs share: the common options, messages on stderr, and the checks of options that several verbs have.
#pragma once

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace apps {

/// How results are written.
enum class Format { text, json, csv };

/// Options that every verb takes.
struct CommonOptions {
  int threads = 0;    ///< threads of all work; 0: all cores
  uint64_t seed = 0;  ///< of everything random: weights of configurations without any, inputs of benchmarks
  Format format = Format::text;
  std::string output;  ///< file that results go to instead of stdout; empty: stdout
  bool quiet = false;  ///< no notes and no progress bar; errors are still reported
  int verbose = 0;     ///< number of -v
};

/// Adds the common options to a command, in a group of their own.
void add_common_options(CLI::App& command, CommonOptions& options);

/// CLI11 check: a finite number of 0 or more.
CLI::Validator not_negative();

/// The text of --help's example lines for an option: " e.g. --topk 1". See help.h for how it is laid out.
std::string with_example(const std::string& description, const std::string& example);

/// Adds --model. `takes` says which models the verb accepts.
CLI::Option* add_model_option(CLI::App& command, std::string& model, const std::string& takes);
/// Adds --precision, --img-size, --batch-size or --max-pixels with the ranges and words that all verbs share.
void add_precision_option(CLI::App& command, std::string& precision);
void add_img_size_option(CLI::App& command, std::optional<int64_t>& img_size);
void add_batch_size_option(CLI::App& command, int64_t& batch_size);
void add_max_pixels_option(CLI::App& command, int64_t& max_pixels);

/// `model`, or, where none was given, the bundled `fallback`: a note then says which classes it knows and how to pass
/// another. Errors (usage): none was given and nothing is bundled.
std::string model_or_bundled(const std::string& verb, const std::string& model, const std::string& fallback,
                             const CommonOptions& common);
/// Errors (usage): no model was given, saying what can be.
void require_model(const std::string& verb, const std::string& model);
/// Precisions that this build computes in.
const std::vector<std::string>& precisions();
/// Errors (usage): a precision that is unknown, or known but not built.
void require_precision(const std::string& precision);

/// One line on stderr, whatever became of stderr; clears a progress bar first.
void print_error(std::string_view line);
/// The same, unless --quiet.
template <class... Args>
void note(const CommonOptions& common, fmt::format_string<Args...> format, Args&&... args) {
  if (!common.quiet) print_error(fmt::format(format, std::forward<Args>(args)...));
}
/// The same, with -v only.
template <class... Args>
void detail_note(const CommonOptions& common, fmt::format_string<Args...> format, Args&&... args) {
  if (common.verbose > 0) print_error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace apps
