# NIBBLE_COMMIT: the commit the tree was configured from, or "unknown" outside a checkout.
set(NIBBLE_COMMIT "unknown")
find_package(Git QUIET)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=12 HEAD
                  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0)
    set(NIBBLE_COMMIT ${commit})
    # A new commit reconfigures, so that `nibble --version` never names an old one.
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
                 ${PROJECT_SOURCE_DIR}/.git/HEAD ${PROJECT_SOURCE_DIR}/.git/logs/HEAD)
  endif()
endif()
