# Debian's packages (packages.txt). All are private: nothing that links vitkit::vit needs any of them.
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(TBB REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(JPEG REQUIRED)
find_package(ZLIB REQUIRED)
find_package(EXPAT REQUIRED)
find_package(Protobuf REQUIRED)
find_package(ICU REQUIRED COMPONENTS i18n uc)
find_package(xsimd REQUIRED)
find_package(xtensor REQUIRED)

add_library(vitkit_private_deps INTERFACE)
target_link_libraries(vitkit_private_deps INTERFACE TBB::tbb yaml-cpp nlohmann_json::nlohmann_json fmt::fmt JPEG::JPEG ZLIB::ZLIB EXPAT::EXPAT ICU::i18n ICU::uc
                                                    protobuf::libprotobuf-lite xsimd xtensor Threads::Threads ${CMAKE_DL_LIBS})
# What vitkit_add_layer generates from .proto files.
target_include_directories(vitkit_private_deps SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/generated)

# OpenCV without OpenCVConfig.cmake: that file is in libopencv-dev, which pulls in every module of OpenCV, and with them
# hundreds of packages. The -dev packages that the modules need have headers and libraries only.
find_path(VITKIT_OPENCV_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
add_library(vitkit_opencv INTERFACE)
target_include_directories(vitkit_opencv SYSTEM INTERFACE ${VITKIT_OPENCV_INCLUDE})
function(vitkit_link_opencv target)
  foreach(module IN LISTS ARGN)
    if(NOT TARGET vitkit_opencv_${module})
      find_library(VITKIT_OPENCV_${module} opencv_${module} REQUIRED)
      add_library(vitkit_opencv_${module} SHARED IMPORTED)
      set_target_properties(vitkit_opencv_${module} PROPERTIES IMPORTED_LOCATION ${VITKIT_OPENCV_${module}})
    endif()
    target_link_libraries(${target} INTERFACE vitkit_opencv_${module})
  endforeach()
endfunction()
vitkit_link_opencv(vitkit_opencv core imgproc imgcodecs)

# Cameras and windows.
add_library(vitkit_opencv_devices INTERFACE)
target_link_libraries(vitkit_opencv_devices INTERFACE vitkit_opencv)
vitkit_link_opencv(vitkit_opencv_devices videoio highgui)

# FFmpeg, for video files and streams. Debian's have no CMake files.
find_path(VITKIT_FFMPEG_INCLUDE libavformat/avformat.h REQUIRED)
add_library(vitkit_ffmpeg INTERFACE)
target_include_directories(vitkit_ffmpeg SYSTEM INTERFACE ${VITKIT_FFMPEG_INCLUDE})
foreach(part avformat avcodec avutil swscale)
  find_library(VITKIT_FFMPEG_${part} ${part} REQUIRED)
  target_link_libraries(vitkit_ffmpeg INTERFACE ${VITKIT_FFMPEG_${part}})
endforeach()
