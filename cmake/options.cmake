# Compile and link options that hold for the whole project.
#
# -ffp-contract=off: what nibble writes is the same on every instruction set, so the compiler may not fuse a multiply
# and an add on its own. Kernels that want fused arithmetic say so with intrinsics.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -ffp-contract=off
                    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> -fno-math-errno -fvisibility=hidden -fvisibility-inlines-hidden)

# The base line that every build runs on; faster instruction sets are chosen at run time, in kernels/.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-march=x86-64-v2)
endif()

if(NIBBLE_SANITIZE)
  add_compile_options(-fsanitize=${NIBBLE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NIBBLE_SANITIZE})
else()
  add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
  add_compile_options(-fstack-protector-strong)
endif()
add_compile_definitions(_GLIBCXX_ASSERTIONS)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
