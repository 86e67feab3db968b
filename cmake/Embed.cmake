# quboprune_embed(TARGET NAME FILE): puts a text file into TARGET, which declares it as
# `extern const std::string_view NAME;` in namespace quboprune::embedded.
function(quboprune_embed target name file)
  set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
  file(READ "${file}" text)
  set(generated "${PROJECT_BINARY_DIR}/generated/embedded_${name}.cpp")
  file(CONFIGURE OUTPUT "${generated}" @ONLY CONTENT
"// Written by CMake from @file@.
#include <string_view>
namespace quboprune::embedded {
extern const std::string_view @name@;
const std::string_view @name@ = R\"embedded(@text@)embedded\";
}  // namespace quboprune::embedded
")
  target_sources(${target} PRIVATE "${generated}")
endfunction()
