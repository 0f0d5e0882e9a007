# Writes a C++ file with the text of INPUT to OUTPUT: std::string_view vit::resources::NAME_EXTENSION(). Run as a script.
file(READ ${INPUT} text)
get_filename_component(file ${INPUT} NAME)
string(MAKE_C_IDENTIFIER ${file} name)
# A raw string literal ends at its delimiter: no text may hold it.
string(FIND "${text}" ")embedded\"" found)
if(NOT found EQUAL -1)
  message(FATAL_ERROR "${INPUT}: holds the delimiter of its own literal")
endif()
file(
  WRITE ${OUTPUT}
  "// Made of ${file} by cmake/EmbedText.cmake.\n#include <string_view>\n\nnamespace vit::resources {\n\n"
  "std::string_view ${name}();\n"
  "std::string_view ${name}() { return R\"embedded(${text})embedded\"; }\n\n}  // namespace vit::resources\n")
