# Installs into a folder, builds a consumer against it with CMake and another with pkg-config, and runs both and the
# program. Usage: cmake -DBUILD= -DSOURCE= -DFOLDER= -DCOMPILER= -DVERSION= -DGENERATOR= -P install_test.cmake
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nended with ${status}:\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${FOLDER}/first)
# What is installed must not depend on where it was installed first.
file(RENAME ${FOLDER}/first ${FOLDER}/prefix)

run(${FOLDER}/prefix/bin/nibble --version)
if(NOT output MATCHES "^nibble ${VERSION} ")
  message(FATAL_ERROR "the installed program says: ${output}")
endif()

set(network ${SOURCE}/examples/glyphs/glyphs.onnx)
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/install/consumer -B ${FOLDER}/build -DCMAKE_PREFIX_PATH=${FOLDER}/prefix
    -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${FOLDER}/build)
run(${FOLDER}/build/consumer ${network} ${FOLDER}/small.onnx)
message(STATUS "${output}")

file(GLOB_RECURSE pc ${FOLDER}/prefix/nibble.pc)
cmake_path(GET pc PARENT_PATH pc_folder)
run(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${pc_folder} pkg-config --cflags --libs nibble)
separate_arguments(flags UNIX_COMMAND "${output}")
cmake_path(GET pc_folder PARENT_PATH library_folder)
run(${COMPILER} -std=c++20 ${SOURCE}/tests/install/consumer/consumer.cpp -o ${FOLDER}/consumer ${flags} -Wl,-rpath,${library_folder})
run(${FOLDER}/consumer ${network} ${FOLDER}/small-again.onnx)

file(SHA256 ${FOLDER}/small.onnx first)
file(SHA256 ${FOLDER}/small-again.onnx second)
if(NOT first STREQUAL second)
  message(FATAL_ERROR "two runs wrote different files")
endif()
