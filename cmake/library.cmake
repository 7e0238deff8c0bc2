# libnibble.so: the rooms under the public face, in one file. Only what is marked NIBBLE_API is seen from outside, and
# third-party libraries are its own affair. The target's name leaves `nibble` to the program, whose file has that name
# in the build folder.
add_library(libnibble SHARED $<TARGET_OBJECTS:nibble_api>)
add_library(nibble::nibble ALIAS libnibble)
set(version_script ${PROJECT_SOURCE_DIR}/cmake/libnibble.map)
target_link_libraries(libnibble PRIVATE nibble_api)
target_link_options(libnibble PRIVATE -Wl,--version-script=${version_script} -Wl,--gc-sections)
target_include_directories(libnibble PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_compile_features(libnibble PUBLIC cxx_std_20)
set_target_properties(libnibble PROPERTIES
                      OUTPUT_NAME nibble EXPORT_NAME nibble LINKER_LANGUAGE CXX LINK_DEPENDS ${version_script}
                      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
                      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
if(NOT NIBBLE_SANITIZE)  # whose run-time library is only found when a program starts
  target_link_options(libnibble PRIVATE -Wl,--no-undefined)
endif()
