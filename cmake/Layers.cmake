# Layers are OBJECT libraries, one per folder, that together make the library `vit`. Objects and not archives: a
# registration at the end of a file is the only reference to that file, and a linker drops such members of an archive.

# Adds what protoc makes of a folder's .proto files to a target; "vit/train/events.pb.h" is then includable.
function(vitkit_add_protos name folder)
  file(GLOB protos CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${folder}/*.proto)
  foreach(proto IN LISTS protos)
    string(REGEX REPLACE "\\.proto$" ".pb" stem ${PROJECT_BINARY_DIR}/generated/${proto})
    add_custom_command(
      OUTPUT ${stem}.cc ${stem}.h
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/generated
      COMMAND protobuf::protoc --cpp_out=${PROJECT_BINARY_DIR}/generated -I ${PROJECT_SOURCE_DIR} ${proto}
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
      DEPENDS ${PROJECT_SOURCE_DIR}/${proto}
      VERBATIM)
    set_source_files_properties(${stem}.cc PROPERTIES COMPILE_OPTIONS -w SKIP_LINTING ON)
    target_sources(${name} PRIVATE ${stem}.cc ${stem}.h)
  endforeach()
endfunction()

# Adds a folder's pages (.html, .css, .js) to a target as text: "report_page.css" becomes
# std::string_view vit::resources::report_page_css(), which a header of the folder declares.
function(vitkit_add_resources name folder)
  file(GLOB resources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${folder}/*.html
       ${PROJECT_SOURCE_DIR}/${folder}/*.css ${PROJECT_SOURCE_DIR}/${folder}/*.js)
  foreach(resource IN LISTS resources)
    set(generated ${PROJECT_BINARY_DIR}/generated/${resource}.cpp)
    add_custom_command(
      OUTPUT ${generated}
      COMMAND ${CMAKE_COMMAND} -D INPUT=${PROJECT_SOURCE_DIR}/${resource} -D OUTPUT=${generated} -P
              ${PROJECT_SOURCE_DIR}/cmake/EmbedText.cmake
      DEPENDS ${PROJECT_SOURCE_DIR}/${resource} ${PROJECT_SOURCE_DIR}/cmake/EmbedText.cmake
      VERBATIM)
    set_source_files_properties(${generated} PROPERTIES SKIP_LINTING ON)
    target_sources(${name} PRIVATE ${generated})
  endforeach()
endfunction()

# Adds the OBJECT library of one layer from its folder's sources: "vit/core" becomes vit_core. An empty folder is
# skipped. vit/kernels needs one object per instruction set, which cmake/KernelIsa.cmake knows how to make.
function(vitkit_add_layer folder)
  string(REPLACE "/" "_" name ${folder})
  if(name STREQUAL "vit")
    set(name vit_top)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  if(folder STREQUAL "vit/kernels")
    include(KernelIsa)
    vitkit_add_kernels(${name})
  else()
    add_library(${name} OBJECT ${sources})
    vitkit_add_protos(${name} ${folder})
    vitkit_add_resources(${name} ${folder})
  endif()
  target_link_libraries(${name} PRIVATE vitkit_settings vitkit_private_deps)
  target_compile_definitions(${name} PRIVATE VITKIT_VERSION="${PROJECT_VERSION}")
  set_property(GLOBAL APPEND PROPERTY vitkit_layer_targets ${name})
endfunction()

# The library `vit` (vitkit::vit) of all layers. Shared: libvitkit.so. Static: `vit` is an interface that links the
# archive whole, for the reason above.
function(vitkit_add_library)
  get_property(layers GLOBAL PROPERTY vitkit_layer_targets)
  list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
  if(BUILD_SHARED_LIBS)
    add_library(vit SHARED ${objects})
    set(library vit)
    set_target_properties(vit PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
    # An undefined symbol is an error here and not in the first program that uses it (sanitizers leave theirs open).
    if(NOT VITKIT_SANITIZE)
      target_link_options(vit PRIVATE -Wl,--no-undefined)
    endif()
    target_link_libraries(vit PRIVATE vitkit_settings vitkit_private_deps)
  else()
    add_library(vit_archive STATIC ${objects})
    set(library vit_archive)
    add_library(vit INTERFACE)
    # An export does not add the namespace to a name inside $<LINK_LIBRARY>.
    target_link_libraries(
      vit INTERFACE "$<BUILD_INTERFACE:$<LINK_LIBRARY:WHOLE_ARCHIVE,vit_archive>>"
                    "$<INSTALL_INTERFACE:$<LINK_LIBRARY:WHOLE_ARCHIVE,vitkit::vit_archive>>"
                    TBB::tbb yaml-cpp fmt::fmt JPEG::JPEG ZLIB::ZLIB EXPAT::EXPAT ICU::i18n ICU::uc protobuf::libprotobuf-lite Threads::Threads ${CMAKE_DL_LIBS})
  endif()
  # Always C++: a library of objects only has no source of its own to tell the linker's language from.
  set_target_properties(${library} PROPERTIES OUTPUT_NAME vitkit LINKER_LANGUAGE CXX)
  target_include_directories(vit INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(vit INTERFACE cxx_std_20)
  add_library(vitkit::vit ALIAS vit)
endfunction()

# A module of what is slow to load and seldom needed: the target NAME of one folder's sources, linked to what follows.
# libvitkit loads it from lib/vitkit/ beside itself when it is first asked for (vit/core/plugin.h).
function(vitkit_add_module name folder)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_library(${name} MODULE ${sources})
  target_link_libraries(${name} PRIVATE vitkit_settings ${ARGN})
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/vitkit)
  if(NOT VITKIT_SANITIZE)
    target_link_options(${name} PRIVATE -Wl,--no-undefined)
  endif()
  # Whoever builds the library or links it in this tree wants the module too.
  add_dependencies(vit ${name})
  set_property(GLOBAL APPEND PROPERTY vitkit_module_targets ${name})
endfunction()
