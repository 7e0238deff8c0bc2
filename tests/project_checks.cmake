# Checks of the project itself.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME layers COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/project/check_layers.py ${PROJECT_SOURCE_DIR})
if(NOT NIBBLE_CORE_ONLY AND NOT NIBBLE_SANITIZE)
  add_test(NAME headers COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/project/check_headers.py ${PROJECT_SOURCE_DIR}
                                ${CMAKE_CXX_COMPILER} ${PROJECT_BINARY_DIR}/src/generated)
endif()
if(NOT NIBBLE_CORE_ONLY)
  add_subdirectory(docs)
  if(NOT NIBBLE_SANITIZE)
    add_test(NAME new COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/project/new_test.py ${PROJECT_SOURCE_DIR} ${CMAKE_CXX_COMPILER})
    add_subdirectory(install)
  endif()
endif()
