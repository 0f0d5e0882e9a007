// Where the toolkit's own files are: configs/ and models/ (bundled weights).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vit {

/// The folder that holds configs/ and models/: $VITKIT_HOME if set; else, looked for from the executable and from the
/// library's own file: ../share/vitkit (installed), then upwards (a build tree inside the sources).
/// Errors (kUsage): VITKIT_HOME is set but no folder; nothing found, naming where it was looked for.
std::filesystem::path home_dir();

/// The search of home_dir() from one folder: it or an ancestor (a few levels up) has share/vitkit/configs/model or
/// configs/model. Empty when none does.
std::filesystem::path find_home_from(const std::filesystem::path& start);

/// home_dir() / relative, or an empty path when it does not exist (or there is no home).
std::filesystem::path find_in_home(const std::filesystem::path& relative);

/// Names, without ".yaml", of the configurations in home_dir()/configs/`folder`; sorted, empty when there are none.
std::vector<std::string> config_names(const std::string& folder);
/// Names of the bundled models: folders of models/ that contain a config.json. Sorted.
std::vector<std::string> bundled_models();

}  // namespace vit
