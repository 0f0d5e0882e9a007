#include "apps/help.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

namespace apps {

namespace {

constexpr int kColumn = 26;  // where descriptions begin

/// "  -b, --batch-size N" followed by the description in its column, on the next line where the name is too long.
std::string entry(const std::string& name, const std::string& description, int width) {
  const std::string head = "  " + name;
  const bool fits = head.size() + 2 <= static_cast<size_t>(kColumn);
  const std::string gap = fits ? std::string(kColumn - head.size(), ' ') : "\n" + std::string(kColumn, ' ');
  return head + gap + wrapped(description, kColumn, width) + "\n";
}

std::string option_entry(const CLI::Option& option, int width) {
  std::string name = option.get_positional() ? option.get_name(true, false) : option.get_name(false, true);
  for (size_t at = name.find(','); at != std::string::npos; at = name.find(',', at + 2)) name.replace(at, 1, ", ");
  // CLI11 appends what its validators check: "N:INT in [1 - 9]"; ranges are for error messages.
  const std::string type = option.get_type_name();
  if (option.nonpositional() && option.get_type_size() != 0) name += " " + type.substr(0, type.find(':'));
  std::string text = option.get_description(), example;
  if (const size_t end = text.find('\n'); end != std::string::npos) {
    example = text.substr(end + 1);
    text.resize(end);
  }
  if (option.get_required()) text += " (required)";
  if (!option.get_default_str().empty()) text += " (default: " + option.get_default_str() + ")";
  std::string lines = entry(name, text, width);
  if (!example.empty()) lines += std::string(kColumn, ' ') + example + "\n";
  return lines;
}

}  // namespace

int terminal_width() {
  int width = 80;
  winsize size{};
  if (const char* columns = std::getenv("COLUMNS"))
    width = std::atoi(columns);
  else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    width = size.ws_col;
  return std::clamp(width, 60, 120);
}

std::string wrapped(const std::string& text, int indent, int width) {
  std::istringstream words(text);
  std::string lines, word;
  int column = indent;
  while (words >> word) {
    const int length = static_cast<int>(word.size());
    if (column > indent && column + 1 + length > width) {
      lines += "\n" + std::string(static_cast<size_t>(indent), ' ');
      column = indent;
    } else if (column > indent) {
      lines += " ";
      ++column;
    }
    lines += word;
    column += length;
  }
  return lines;
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
  const int width = terminal_width();
  const bool is_verb = app->get_parent() != nullptr;
  const auto positionals = app->get_options([](const CLI::Option* option) { return option->get_positional(); });
  const std::string title =
      is_verb ? "vitkit " + app->get_name() + ": " + app->get_description() : app->get_description();
  std::string help = wrapped(title, 0, width) + "\n\nUsage: vitkit ";
  help += is_verb ? app->get_name() + " [OPTIONS]" : "VERB [OPTIONS]";
  for (const CLI::Option* option : positionals) help += " " + option->get_name(true, false) + "...";
  help += "\n";
  if (!is_verb) {
    help += "\nVerbs (vitkit VERB --help says more):\n";
    for (const CLI::App* verb : app->get_subcommands({}))
      help += entry(verb->get_name(), verb->get_description(), width);
  }
  if (!positionals.empty()) help += "\nArguments:\n";
  for (const CLI::Option* option : positionals) help += option_entry(*option, width);
  for (const std::string& group : app->get_groups()) {
    const auto options = app->get_options(
        [&](const CLI::Option* option) { return option->get_group() == group && option->nonpositional(); });
    if (group.empty() || options.empty()) continue;
    help += "\n" + group + ":\n";
    for (const CLI::Option* option : options) help += option_entry(*option, width);
  }
  return help + "\n" + app->get_footer() + "\n";
}

}  // namespace apps
