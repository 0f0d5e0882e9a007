# cmake --install: the command, libvitkit, its modules, public headers, configs, bundled models, and the package
# config by which another CMake project does find_package(vitkit) and links vitkit::vit.
include(CMakePackageConfigHelpers)

set(vitkit_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vitkit)
set(vitkit_data_dir ${CMAKE_INSTALL_DATADIR}/vitkit)

set(libraries vit)
if(NOT BUILD_SHARED_LIBS)
  list(APPEND libraries vit_archive)
endif()
install(
  TARGETS ${libraries}
  EXPORT vitkitTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
# The place that libvitkit looks for its modules in: vitkit/ beside itself.
get_property(modules GLOBAL PROPERTY vitkit_module_targets)
if(modules)
  install(TARGETS ${modules} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/vitkit)
endif()
if(TARGET vitkit)
  install(TARGETS vitkit RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# Which headers are public is found when installing, because it depends on what they include.
install(
  CODE "set(source_dir \"${PROJECT_SOURCE_DIR}\")
        set(include_dir \"${CMAKE_INSTALL_INCLUDEDIR}\")
        include(\"${PROJECT_SOURCE_DIR}/cmake/InstallHeaders.cmake\")")

foreach(folder configs models)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${folder})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${vitkit_data_dir})
  endif()
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(
  EXPORT vitkitTargets
  NAMESPACE vitkit::
  DESTINATION ${vitkit_cmake_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/vitkitConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/vitkitConfig.cmake INSTALL_DESTINATION ${vitkit_cmake_dir})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vitkitConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vitkitConfig.cmake ${PROJECT_BINARY_DIR}/vitkitConfigVersion.cmake
        DESTINATION ${vitkit_cmake_dir})
