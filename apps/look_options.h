// Which attention --attention shows: options that the verbs share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace apps {

/// Adds --attention-layer and --attention-head to the options of `group`; `of` says what is counted: "the decoder".
void add_look_options(CLI::App& command, std::optional<int64_t>& layer, std::optional<int64_t>& head,
                      const std::string& group, const std::string& of);

}  // namespace apps
