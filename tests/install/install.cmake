# Installs the build tree into a folder of its own and uses it from there, as a stranger does (run by ctest with
# BUILD_DIR, SOURCE_DIR, WORK_DIR, CXX_COMPILER): a project that finds the package, builds, links and runs; every public
# header; and the command, which must find its own data.
cmake_minimum_required(VERSION 3.25)

# Runs a command; its failure is the test's failure.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what} failed (${result}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
set(prefix ${WORK_DIR}/prefix)
run("cmake --install" ${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${prefix})
# A moved installation must work as well: nothing in it may know the prefix.
file(RENAME ${prefix} ${WORK_DIR}/moved)
set(prefix ${WORK_DIR}/moved)

file(GLOB_RECURSE headers ${prefix}/include/*.h)
list(LENGTH headers count)
if(count LESS 5)
  message(FATAL_ERROR "only ${count} public headers were installed")
endif()
foreach(header IN LISTS headers)
  file(STRINGS ${header} private REGEX "#[ \t]*include[ \t]*<(xtensor|xsimd|opencv2|yaml-cpp|nlohmann|tbb|oneapi|fmt)/")
  if(private)
    message(FATAL_ERROR "${header} is installed and needs a private dependency: ${private}")
  endif()
endforeach()

# Each program between a ```cpp of the README and the next ```. Quotes keep a program whole: its semicolons are no list's.
file(READ ${SOURCE_DIR}/README.md readme)
set(programs 0)
string(FIND "${readme}" "```cpp\n" begin)
while(NOT begin EQUAL -1)
  math(EXPR begin "${begin} + 7")
  string(SUBSTRING "${readme}" ${begin} -1 readme)
  string(FIND "${readme}" "```" end)
  string(SUBSTRING "${readme}" 0 ${end} program)
  math(EXPR programs "${programs} + 1")
  file(WRITE ${WORK_DIR}/programs/readme_${programs}.cpp "${program}")
  string(FIND "${readme}" "```cpp\n" begin)
endwhile()
if(programs EQUAL 0)
  message(FATAL_ERROR "README.md shows no C++ program")
endif()

run("configuring the consumer" ${CMAKE_COMMAND} -G Ninja -S ${SOURCE_DIR}/tests/install/consumer -B
    ${WORK_DIR}/consumer -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${CXX_COMPILER}
    -DCMAKE_CXX_FLAGS=${CXX_FLAGS} -DREADME_PROGRAMS=${WORK_DIR}/programs)
run("building the consumer" ${CMAKE_COMMAND} --build ${WORK_DIR}/consumer)
run("running the consumer" ${WORK_DIR}/consumer/consumer)
message(STATUS "${count} public headers; ${output}")
foreach(program RANGE 1 ${programs})
  run("running the README's program ${program}" ${CMAKE_COMMAND} -E env --unset=VITKIT_HOME
      ${WORK_DIR}/consumer/readme_${program})
endforeach()

if(EXISTS ${prefix}/bin/vitkit)
  run("vitkit --version" ${CMAKE_COMMAND} -E env --unset=VITKIT_HOME ${prefix}/bin/vitkit --version)
  run("vitkit info --list models" ${CMAKE_COMMAND} -E env --unset=VITKIT_HOME ${prefix}/bin/vitkit info --list models)
  if(NOT output MATCHES "vit_tiny_patch16_224")
    message(FATAL_ERROR "the installed command does not find its configs:\n${output}")
  endif()
endif()
file(REMOVE_RECURSE ${WORK_DIR})
