# vitkit_settings: what every target of the project is compiled with. Never exported.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()
# No -march here, ever: the binary runs on any x86-64, kernels choose their instruction set at run time. -g1 (function
# names and lines, no variables) makes crashes and profiles readable for a few megabytes.
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")

find_program(VITKIT_CCACHE ccache)
if(VITKIT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${VITKIT_CCACHE})
endif()

# The build tree repeats the installed layout (lib/, lib/vitkit/), so that modules are found the same way in both.
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${CMAKE_INSTALL_LIBDIR})
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${CMAKE_INSTALL_LIBDIR})

add_library(vitkit_settings INTERFACE)
target_include_directories(vitkit_settings INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_options(vitkit_settings INTERFACE -Wall -Wextra -Wshadow -Wpedantic)
if(VITKIT_BUILD_FUZZERS)
  # What is fuzzed must tell the fuzzer where it has been.
  target_compile_options(vitkit_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(VITKIT_WERROR)
  target_compile_options(vitkit_settings INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Functions of a shared library may be inlined into each other; Clang does that by itself. The four warnings misfire
  # in GCC 12 inside inlined std::string (GCC bug 105651) and xtensor code at -O3.
  target_compile_options(
    vitkit_settings INTERFACE -fno-semantic-interposition -Wno-restrict -Wno-maybe-uninitialized -Wno-array-bounds
                              -Wno-stringop-overflow)
endif()

# No path of the machine that built it stands in a binary, and the compiler cache serves any clone.
target_compile_options(vitkit_settings INTERFACE -ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}/=)

# xtensor's allocator type depends on this macro: one value for the whole project, or types differ between objects.
target_compile_definitions(vitkit_settings INTERFACE XTENSOR_DEFAULT_ALIGNMENT=64)

if(VITKIT_SANITIZE)
  set(vitkit_sanitize_flags -fsanitize=${VITKIT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(vitkit_settings INTERFACE ${vitkit_sanitize_flags})
  target_link_options(vitkit_settings INTERFACE ${vitkit_sanitize_flags})
endif()
