#include "vit/explain/figure_text.h"

#include <sstream>

namespace vit::detail {

std::vector<std::string> wrapped_text(const std::vector<std::string>& lines, int64_t width, const TextStyle& style) {
  std::vector<std::string> wrapped;
  for (const std::string& line : lines) {
    std::istringstream words(line);
    std::string word, current;
    while (words >> word) {
      const std::string longer = current.empty() ? word : current + " " + word;
      if (current.empty() || measure_text(longer, style).width <= width) {
        current = longer;
        continue;
      }
      wrapped.push_back(fit_text(current, width, style));
      current = word;
    }
    wrapped.push_back(fit_text(current, width, style));
  }
  return wrapped;
}

}  // namespace vit::detail
