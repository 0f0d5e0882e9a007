// The command vitkit: finds the verb, parses its options, and turns what happens into an exit status (0 fine; 1 a
// source, the work or an output failed; 2 wrong options, configuration, model or data).
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <csignal>
#include <new>

#include "apps/common.h"
#include "apps/help.h"
#include "apps/output.h"
#include "apps/verbs.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/parallel.h"

namespace apps {

namespace {

constexpr int kFailed = 1, kWrongUse = 2;

constexpr const char* kFooter =
    "Exit status: 0 fine; 1 a source, the work or an output failed; 2 wrong options,\n"
    "model or data. Results go to stdout, everything else to stderr.\n"
    "\n"
    "EXAMPLES\n"
    "  vitkit classify --model path/to/checkpoint photo.jpg\n"
    "  vitkit classify --model path/to/checkpoint --format json photos/ > out.jsonl\n"
    "  vitkit detect --model path/to/checkpoint --track --save out film.mp4\n"
    "  vitkit caption --model path/to/checkpoint --attention looks photo.jpg\n"
    "  vitkit evaluate --model path/to/checkpoint --data path/to/imagenet/val\n"
    "  vitkit benchmark --model vit_base_patch16_224 --batch-size 8 -v\n"
    "  vitkit info --list models";

/// "--topk: ..." on one line, with the way to help.
int report_parse_error(const CLI::ParseError& error, const std::string& verb) {
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  const std::string command = verb.empty() ? "vitkit" : "vitkit " + verb;
  print_error(command + ": " + message + " (see " + command + " --help)");
  return kWrongUse;
}

int report_error(const std::string& verb, const std::string& message, int status) {
  print_error((verb.empty() ? "vitkit: " : "vitkit " + verb + ": ") + message);
  return status;
}

int run_parsed(CLI::App& app, const CommonOptions& common, std::vector<Action>& actions) {
  vit::set_num_threads(common.threads);
  for (size_t i = 0; i < actions.size(); ++i)
    if (app.get_subcommand(verbs()[i].name)->parsed()) return actions[i]();
  print_error(app.help());  // no verb at all
  return kWrongUse;
}

int run(std::vector<std::string> arguments) {
  CLI::App app(
      "vitkit: classify, detect, caption, evaluate and measure with vision transformers, from the checkpoints people "
      "have.",
      "vitkit");
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(0, 1);  // what follows a verb is its own: "caption photo.jpg scenes" names a folder
  app.set_help_flag("--help,-h", with_example("Prints this text; after a verb, its options", "vitkit classify --help"));
  app.set_version_flag("--version", std::string("vitkit " VITKIT_VERSION),
                       with_example("Prints the version", "vitkit --version"));
  app.footer(kFooter);
  CommonOptions common;
  std::vector<Action> actions;
  for (const Verb& verb : verbs()) {
    CLI::App& command = *app.add_subcommand(verb.name, verb.summary);
    command.set_help_flag("--help,-h", with_example("Prints this text", "vitkit " + verb.name + " -h"));
    actions.push_back(verb.add(command, common));
    add_common_options(command, common);
  }

  std::string verb;
  try {
    if (!arguments.empty() && arguments.front() == "help") {
      arguments.erase(arguments.begin());
      arguments.push_back("--help");
    }
    if (!arguments.empty() && !arguments.front().starts_with("-")) {
      require_verb(arguments.front());
      verb = arguments.front();
    }
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes a vector
    try {
      app.parse(arguments);
      return run_parsed(app, common, actions);
    } catch (const CLI::CallForHelp&) {
      const CLI::App* shown = verb.empty() ? &app : app.get_subcommand(verb);
      Output(CommonOptions{}).line(shown->help());
      return 0;
    } catch (const CLI::CallForVersion& version) {
      Output(CommonOptions{}).line(version.what());
      return 0;
    } catch (const CLI::ParseError& error) {
      return report_parse_error(error, verb);
    }
  } catch (const ClosedPipe&) {
    return 0;
  } catch (const vit::Error& error) {
    return report_error(verb, error.what(), error.kind() == vit::ErrorKind::kUsage ? kWrongUse : kFailed);
  } catch (const std::bad_alloc&) {
    return report_error(verb, "out of memory", kFailed);
  } catch (const std::exception& error) {
    return report_error(verb, error.what(), kFailed);
  }
}

}  // namespace

/// Ends as the signal would have, without half-written files.
extern "C" void stop_without_traces(int signal) {
  vit::remove_unfinished_files();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace apps

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is then an error of write(), see Output
  std::signal(SIGXFSZ, SIG_IGN);  // as is a file that grows beyond its limit (ulimit -f): an error that is named
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, apps::stop_without_traces);
  return apps::run(std::vector<std::string>(argv + 1, argv + argc));
}
