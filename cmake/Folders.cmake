# A folder of src/ is a stage or a concept: one static library, with its tests beside its sources.

function(quboprune_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # False alarms on std::string's operator+ (GCC bug 105651).
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(QUBOPRUNE_STRICT)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# quboprune_folder(NAME USES targets...)
# Every src/NAME/*.cpp goes into the library quboprune_NAME; every src/NAME/*_test.cpp into NAME_test.
function(quboprune_folder name)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.cpp")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  set(target quboprune_${name})
  if(NOT sources)
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${ARG_USES})
    target_compile_features(${target} INTERFACE cxx_std_20)
    return()
  endif()
  add_library(${target} STATIC ${sources})
  add_library(quboprune::${name} ALIAS ${target})
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>
    PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${target} PUBLIC ${ARG_USES})
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  quboprune_warnings(${target})
  if(QUBOPRUNE_TESTS AND tests)
    quboprune_test(${name}_test SOURCES ${tests} USES ${target})
  endif()
endfunction()

# quboprune_test(NAME SOURCES files... USES targets...): one GoogleTest program, its cases seen by ctest.
function(quboprune_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${name} PRIVATE ${ARG_USES} GTest::gtest_main)
  quboprune_warnings(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES SKIP_REGULAR_EXPRESSION "^$"
    ENVIRONMENT "QUBOPRUNE_SOURCE_DIR=${PROJECT_SOURCE_DIR};QUBOPRUNE_BINARY_DIR=${PROJECT_BINARY_DIR}")
endfunction()

# quboprune_table(TARGET FOLDER PREFIX HEADER PARAMETERS ARGUMENTS FUNCTION): writes FUNCTION, which calls
# PREFIX_<name>() for each file FOLDER/<name>.cpp, so that adding an operator or a subcommand is adding its
# file. What the folder needs besides lies in FOLDER/base.
function(quboprune_table target folder prefix header parameters arguments function)
  file(GLOB files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${folder}/*.cpp")
  list(FILTER files EXCLUDE REGEX "_test\\.cpp$")
  set(declarations "")
  set(calls "")
  foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WE)
    string(APPEND declarations "void ${prefix}_${name}(${parameters});\n")
    string(APPEND calls "  ${prefix}_${name}(${arguments});\n")
  endforeach()
  set(generated "${PROJECT_BINARY_DIR}/generated/${function}.cpp")
  file(CONFIGURE OUTPUT "${generated}" @ONLY CONTENT
"// Written by CMake from the file names in src/@folder@/.
#include \"@header@\"
namespace quboprune {
@declarations@
void @function@(@parameters@) {
@calls@}
}  // namespace quboprune
")
  file(GLOB base CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${folder}/base/*.cpp")
  target_sources(${target} PRIVATE "${generated}" ${base})
endfunction()

# quboprune_command(FOLDER USES targets...): the program `quboprune`, put at the top of the build folder.
function(quboprune_command name)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.cpp")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  if(NOT sources)
    return()
  endif()
  add_executable(quboprune ${sources})
  target_include_directories(quboprune PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(quboprune PRIVATE ${ARG_USES})
  target_compile_definitions(quboprune PRIVATE QUBOPRUNE_VERSION="${PROJECT_VERSION}")
  quboprune_table(quboprune ${name} add "cli/commands.h" "CLI::App& app, Context& context" "app, context" add_all_commands)
  set_target_properties(quboprune PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
  quboprune_warnings(quboprune)
  install(TARGETS quboprune)
endfunction()
