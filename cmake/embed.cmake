# The report's style sheet and script become character arrays (src/eval/html/page_files.h.in); both are read again when
# they change. They may not hold the end of a C++ raw string, )nibble".
foreach(kind CSS JS)
  string(TOLOWER page.${kind} file)
  set(file ${CMAKE_CURRENT_SOURCE_DIR}/eval/html/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} NIBBLE_PAGE_${kind})
endforeach()
configure_file(eval/html/page_files.h.in ${PROJECT_BINARY_DIR}/generated/eval/html/page_files.h @ONLY)
target_include_directories(nibble_eval PRIVATE ${PROJECT_BINARY_DIR}/generated)
