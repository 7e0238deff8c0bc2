# Compiles the ONNX schema into nibble_io. The generated code is protobuf's, so our warnings do not apply to it, and only
# src/io/onnx includes its header ("io/onnx/onnx_schema.pb.h"). The command is written out because protobuf_generate of
# CMake 3.25 guesses the output path wrongly for a file below an import directory.
set(schema_folder ${CMAKE_CURRENT_BINARY_DIR}/generated)
set(schema_files ${schema_folder}/io/onnx/onnx_schema.pb.cc ${schema_folder}/io/onnx/onnx_schema.pb.h)
file(MAKE_DIRECTORY ${schema_folder})
add_custom_command(OUTPUT ${schema_files}
                   COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR}/src --cpp_out=${schema_folder}
                           ${PROJECT_SOURCE_DIR}/src/io/onnx/onnx_schema.proto
                   DEPENDS ${PROJECT_SOURCE_DIR}/src/io/onnx/onnx_schema.proto protobuf::protoc
                   COMMENT "Compiling the ONNX schema" VERBATIM)
add_library(nibble_onnx_schema OBJECT ${schema_files})
target_link_libraries(nibble_onnx_schema PRIVATE protobuf::libprotobuf-lite)
target_compile_options(nibble_onnx_schema PRIVATE -w)
target_include_directories(nibble_onnx_schema PRIVATE ${schema_folder})

target_sources(nibble_io PRIVATE $<TARGET_OBJECTS:nibble_onnx_schema>)
target_include_directories(nibble_io SYSTEM PRIVATE ${schema_folder})
add_dependencies(nibble_io nibble_onnx_schema)
