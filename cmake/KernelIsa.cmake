# vitkit_add_kernels(name): the OBJECT library of vit/kernels, in which isa.cpp is compiled once per instruction set.
#
# - A target compiles a source once, so each set gets a one-line source of its own, written into the build tree, that
#   includes isa.cpp; its flags are that source's properties.
# - -ffp-contract=off: what is fused is decided in the source (Simd::fma), not by the compiler; results then agree between
#   GCC and Clang, and an unfused product is visible instead of repaired in silence.
# - -Dxsimd=...: renames xsimd's namespace per set. Its functions are templates and inline, weak symbols when not inlined;
#   under one name the linker could take a copy compiled for AVX-512 into code that runs everywhere.
# - Always -O3, in debug and sanitizer builds too: at -O1 the register tile would live in memory and tests take minutes.

# Adds one instruction set to the library: its name in enum Isa, its xsimd architecture, its compiler flags.
function(vitkit_add_kernel_isa name isa arch)
  set(source ${PROJECT_BINARY_DIR}/kernels/isa_${isa}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"vit/kernels/isa.cpp\"\n")
  target_sources(${name} PRIVATE ${source})
  # -Wno-psabi: GCC notes that passing wide vectors depends on -m flags; none crosses an object's border here. The
  # "uninitialized" warnings misfire inside GCC 12's own AVX-512 header (GCC bug 105593).
  set(options -O3 -ffp-contract=off -fno-math-errno -fno-exceptions -Wno-psabi -Wno-uninitialized ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND options -Wno-maybe-uninitialized)
  endif()
  set_source_files_properties(
    ${source}
    PROPERTIES COMPILE_OPTIONS "${options}"
               COMPILE_DEFINITIONS "VITKIT_KERNEL_ISA=${isa};VITKIT_KERNEL_ARCH=${arch};xsimd=vitkit_xsimd_${isa}"
               SKIP_LINTING ON)
  string(TOUPPER ${isa} upper)
  target_compile_definitions(${name} PRIVATE VITKIT_HAVE_${upper})
endfunction()

function(vitkit_add_kernels name)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/vit/kernels/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/isa\\.cpp$")
  add_library(${name} OBJECT ${sources})
  target_compile_options(${name} PRIVATE -ffp-contract=off)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    vitkit_add_kernel_isa(${name} sse2 sse2)
    vitkit_add_kernel_isa(${name} avx2 "fma3<xsimd::avx2>" -mavx2 -mfma)
    vitkit_add_kernel_isa(${name} avx512 avx512bw -mavx2 -mfma -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    vitkit_add_kernel_isa(${name} neon64 neon64)
  endif()
endfunction()
