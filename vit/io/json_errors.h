// How all readers of JSON say that a file is none. For vit/io's own files.
#pragma once

#include <exception>
#include <string>

namespace vit {

/// Throws Error{kUsage} "NAME: not JSON: byte N: what was expected and read" for an error of nlohmann's parser.
[[noreturn]] void refuse_json(const std::string& name, const std::exception& error);

}  // namespace vit
