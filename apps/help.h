// --help: descriptions wrapped to the terminal, every option with its default and an example.
#pragma once

#include <CLI/Formatter.hpp>
#include <string>

namespace apps {

/// Lays out a command's help. An option's description is its text and, after a line break, its example
/// (with_example()).
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

/// Columns of the terminal (COLUMNS, else what the terminal says, else 80), between 60 and 120.
int terminal_width();

/// `text` in lines of at most `width` characters, each after `indent` blanks, the first without them.
std::string wrapped(const std::string& text, int indent, int width);

}  // namespace apps
