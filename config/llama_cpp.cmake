# make setup        (CMAKE_ARGS=-DCMAKE_PROJECT_llama_cpp_INCLUDE=$PWD/config/llama_cpp.cmake pip install llama-cpp-python)
#
# What differs from llama-cpp-python's own build, which CMake reads right after its project() line.

# Compile what is used: 78 of 193 steps. A normal variable hides the cache variable that its CMakeLists forces on.
set(LLAVA_BUILD OFF)
set(LLAMA_BUILD_COMMON OFF)

# No AMX: GCC's _tile_loadconfig tells the optimiser that it reads 8 bytes of the 64, so the tile sizes are never
# stored, and ldtilecfg faults on what lies on the stack (seen: GCC 12, Sapphire Rapids, Q4_1 and Q8_0: SIGSEGV).
include(CheckCXXCompilerFlag)
foreach(part tile int8 bf16)
    check_cxx_compiler_flag(-mno-amx-${part} HEIRLOOM_HAS_NO_AMX_${part})
    if(HEIRLOOM_HAS_NO_AMX_${part} AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
        add_compile_options(-mno-amx-${part})
    endif()
endforeach()
