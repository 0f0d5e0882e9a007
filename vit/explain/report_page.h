// The parts of the report's page, as they stand in this folder's files of these names (cmake/EmbedText.cmake).
#pragma once

#include <string_view>

namespace vit::resources {

std::string_view report_page_html();  ///< with {{title}}, {{style}}, {{script}}, {{data}}, {{version}}
std::string_view report_page_css();
std::string_view report_data_js();  ///< what the numbers are, and how they are drawn
std::string_view report_page_js();  ///< what people do with them; follows report_data_js

}  // namespace vit::resources
