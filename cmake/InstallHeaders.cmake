# Installs the public headers (run by cmake --install, which sets source_dir and include_dir). A header is public unless
# it includes a private dependency, itself or through another header of the project: whoever links the library needs
# none of them. So there is no list to keep: a header that must stay public must not include such a file.
cmake_policy(VERSION 3.25)  # IN_LIST; an install script starts with the oldest policies

set(private_dependency "^[ \t]*#[ \t]*include[ \t]*<(xtensor|xtl|xsimd|opencv2|yaml-cpp|nlohmann|tbb|oneapi|fmt|spdlog|CLI|unicode)/")
set(own_include "^[ \t]*#[ \t]*include[ \t]*\"([^\"]+)\"")

set(public "")
foreach(folder vit datasets detection captioning)
  file(GLOB_RECURSE headers RELATIVE ${source_dir} ${source_dir}/${folder}/*.h)
  # Per-ISA templates and the modules' inner interfaces are nobody's to include.
  list(FILTER headers EXCLUDE REGEX "\\.inl\\.h$|^vit/(image/codecs|media/(ffmpeg|devices))/")
  list(APPEND public ${headers})
endforeach()
foreach(header IN LISTS public)
  file(STRINGS ${source_dir}/${header} lines REGEX "^[ \t]*#[ \t]*include")
  set(includes_of_${header} "")
  foreach(line IN LISTS lines)
    if(line MATCHES "${private_dependency}")
      list(REMOVE_ITEM public ${header})
    elseif(line MATCHES "${own_include}")
      list(APPEND includes_of_${header} ${CMAKE_MATCH_1})
    endif()
  endforeach()
endforeach()

# What includes a header that is not public is not public either, until nothing changes.
set(changed TRUE)
while(changed)
  set(changed FALSE)
  foreach(header IN LISTS public)
    foreach(included IN LISTS includes_of_${header})
      if(NOT included IN_LIST public)
        list(REMOVE_ITEM public ${header})
        set(changed TRUE)
        break()
      endif()
    endforeach()
  endforeach()
endwhile()

foreach(header IN LISTS public)
  get_filename_component(folder ${header} DIRECTORY)
  file(INSTALL DESTINATION "${CMAKE_INSTALL_PREFIX}/${include_dir}/${folder}" TYPE FILE FILES "${source_dir}/${header}")
endforeach()
