#include "apps/look_options.h"

#include "apps/common.h"

namespace apps {

void add_look_options(CLI::App& command, std::optional<int64_t>& layer, std::optional<int64_t>& head,
                      const std::string& group, const std::string& of) {
  const auto number = [&](const char* name, std::optional<int64_t>& value, const std::string& standard,
                          const std::string& description) {
    command.add_option(name, value, description)
        ->type_name("N")
        ->default_str(standard)
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
        ->group(group);
  };
  number("--attention-layer", layer, "the last",
         with_example("Of " + of + ", from 0", "--attention looks --attention-layer 2"));
  number("--attention-head", head, "their mean",
         with_example("Attention head, from 0", "--attention looks --attention-head 0"));
}

}  // namespace apps
