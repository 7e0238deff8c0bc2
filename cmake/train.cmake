# The training component: a shared module with libtorch behind it, which the program loads when a command trains.
include(GNUInstallDirs)
set(build_name "${PROJECT_VERSION} (${NIBBLE_COMMIT})")
set_source_files_properties(
  train/load_module.cpp train/module/module.cpp
  PROPERTIES COMPILE_DEFINITIONS "NIBBLE_BUILD=\"${build_name}\";NIBBLE_LIBRARY_FOLDER=\"${CMAKE_INSTALL_LIBDIR}/nibble\"")
# Loops over elements, as in ops.
target_compile_options(nibble_train PRIVATE $<$<CONFIG:RelWithDebInfo>:-O3>)

if(NIBBLE_TRAIN STREQUAL "OFF" OR NIBBLE_SANITIZE)
  return()  # libtorch is not built with sanitizers
endif()
find_package(Torch QUIET)
if(NOT Torch_FOUND)
  if(NOT NIBBLE_TRAIN STREQUAL "AUTO")
    message(FATAL_ERROR "NIBBLE_TRAIN is ON and libtorch was not found (Debian: libtorch-dev)")
  endif()
  message(STATUS "libtorch was not found: nibble is built without its training component")
  return()
endif()

file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/train/module/*.cpp ${PROJECT_SOURCE_DIR}/src/train/gradients/*.cpp)
add_library(nibble_train_module MODULE ${sources} train/fake_quantize.cpp)
target_include_directories(nibble_train_module PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_include_directories(nibble_train_module SYSTEM PRIVATE ${TORCH_INCLUDE_DIRS})
target_compile_options(nibble_train_module PRIVATE $<$<CONFIG:RelWithDebInfo>:-O3>)
target_link_libraries(nibble_train_module PRIVATE nibble_ops nibble_io torch_cpu c10)
set_target_properties(nibble_train_module PROPERTIES OUTPUT_NAME nibble_train PREFIX lib
                                                     LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
add_dependencies(nibble_train nibble_train_module)
