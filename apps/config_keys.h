// Configuration for people and programs: the keys of a struct with what they mean, and nodes as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vit/core/config.h"

namespace apps {

/// A key of a configuration.
struct ConfigKey {
  std::string name;   ///< with those of the sections around it: "monitor.every"
  std::string type;   ///< "number from 0 to 1": with the rule that values obey
  std::string value;  ///< the default, in one line; "" of a section
  std::string doc;
  vit::ConfigNode node{};  ///< the default
};

/// In the order of the fields; `prefix` stands in front of all names.
std::vector<ConfigKey> config_keys(const std::vector<vit::config_detail::FieldHelp>& fields,
                                   const std::string& prefix = {});

/// "name (type; default value): doc"
std::string config_key_text(const ConfigKey& key);

/// A node as JSON: what reads as a number, a bool or null is one, unless it stands in quotes.
nlohmann::ordered_json config_json(const vit::ConfigNode& node);

}  // namespace apps
