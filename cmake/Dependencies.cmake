# Everything that we take from others, in one place; see "Real parts" in docs/architecture.md.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Eigen3 REQUIRED)
find_package(Boost 1.74 REQUIRED CONFIG)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
if(QUBOPRUNE_TESTS)
  find_package(GTest REQUIRED)
endif()
if(QUBOPRUNE_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
if(NOT QUBOPRUNE_NETWORKS)
  return()
endif()

find_package(CLI11 REQUIRED)
find_package(spdlog REQUIRED)

# LibTorch: "debian" (libtorch-dev) or "python" (the one inside an installed Python torch). Only
# imported libraries and include folders are taken from it, not its compile flags.
set(QUBOPRUNE_TORCH "debian" CACHE STRING "Where LibTorch comes from: debian or python")
set_property(CACHE QUBOPRUNE_TORCH PROPERTY STRINGS debian python)
add_library(quboprune_torch INTERFACE)
add_library(quboprune::torch ALIAS quboprune_torch)
if(QUBOPRUNE_TORCH STREQUAL "python")
  set(QUBOPRUNE_TORCH_PYTHON "python3" CACHE STRING "The Python that has torch")
  execute_process(COMMAND ${QUBOPRUNE_TORCH_PYTHON} -c "import torch, os; print(os.path.dirname(torch.__file__))"
                  OUTPUT_VARIABLE torch_root OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "QUBOPRUNE_TORCH=python, but ${QUBOPRUNE_TORCH_PYTHON} has no torch: set QUBOPRUNE_TORCH_PYTHON")
  endif()
  # That torch carries headers of fmt and protobuf's kin of its own, in the same folder as its API: the
  # system's, which we link, must be found first, and /usr/include itself comes too late.
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/system-headers")
  foreach(name fmt google nlohmann onnx)
    if(EXISTS "/usr/include/${name}")
      file(CREATE_LINK "/usr/include/${name}" "${PROJECT_BINARY_DIR}/system-headers/${name}" SYMBOLIC)
    endif()
  endforeach()
  target_include_directories(quboprune_torch SYSTEM INTERFACE "${PROJECT_BINARY_DIR}/system-headers"
    "${torch_root}/include" "${torch_root}/include/torch/csrc/api/include")
  target_link_libraries(quboprune_torch INTERFACE
    "${torch_root}/lib/libtorch.so" "${torch_root}/lib/libtorch_cpu.so" "${torch_root}/lib/libc10.so")
  target_link_options(quboprune_torch INTERFACE "-Wl,-rpath,${torch_root}/lib")
elseif(QUBOPRUNE_TORCH STREQUAL "debian")
  find_library(QUBOPRUNE_LIBTORCH torch REQUIRED)
  find_library(QUBOPRUNE_LIBTORCH_CPU torch_cpu REQUIRED)
  find_library(QUBOPRUNE_LIBC10 c10 REQUIRED)
  find_path(QUBOPRUNE_TORCH_INCLUDE ATen/ATen.h REQUIRED)
  target_include_directories(quboprune_torch SYSTEM INTERFACE
    "${QUBOPRUNE_TORCH_INCLUDE}" "${QUBOPRUNE_TORCH_INCLUDE}/torch/csrc/api/include")
  target_link_libraries(quboprune_torch INTERFACE
    "${QUBOPRUNE_LIBTORCH}" "${QUBOPRUNE_LIBTORCH_CPU}" "${QUBOPRUNE_LIBC10}")
else()
  message(FATAL_ERROR "QUBOPRUNE_TORCH is '${QUBOPRUNE_TORCH}': use debian or python")
endif()

# The oneDNN 2 that Debian's LibTorch computes with, if its headers are there: for what LibTorch doesn't ask it for. The
# one inside Python's torch can't be linked.
set(QUBOPRUNE_ONEDNN "")
if(QUBOPRUNE_TORCH STREQUAL "debian")
  find_library(QUBOPRUNE_ONEDNN_LIBRARY dnnl)
  find_path(QUBOPRUNE_ONEDNN_INCLUDE oneapi/dnnl/dnnl_version.h)
  if(QUBOPRUNE_ONEDNN_LIBRARY AND QUBOPRUNE_ONEDNN_INCLUDE)
    file(STRINGS "${QUBOPRUNE_ONEDNN_INCLUDE}/oneapi/dnnl/dnnl_version.h" version REGEX "DNNL_VERSION_MAJOR 2$")
    if(version)
      set(QUBOPRUNE_ONEDNN "${QUBOPRUNE_ONEDNN_LIBRARY}")
    endif()
  endif()
endif()

# ONNX: the official schema as protobuf classes.
find_package(Protobuf REQUIRED)
find_library(QUBOPRUNE_ONNX_PROTO onnx_proto REQUIRED)
# Python's onnx brings headers too, of another release, but not this one, which protoc wrote for the library.
find_path(QUBOPRUNE_ONNX_PROTO_INCLUDE onnx/onnx-ml.pb.h REQUIRED)
add_library(quboprune_onnx INTERFACE)
add_library(quboprune::onnx ALIAS quboprune_onnx)
target_include_directories(quboprune_onnx SYSTEM INTERFACE "${QUBOPRUNE_ONNX_PROTO_INCLUDE}")
target_compile_definitions(quboprune_onnx INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)
target_link_libraries(quboprune_onnx INTERFACE "${QUBOPRUNE_ONNX_PROTO}" protobuf::libprotobuf)

# Images and SIDD's .mat blocks.
# OpenCV's own CMake file wants every one of its modules installed (1.4 GB); we use three.
find_path(QUBOPRUNE_OPENCV_INCLUDE opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4 REQUIRED)
add_library(quboprune_images INTERFACE)
add_library(quboprune::images ALIAS quboprune_images)
target_include_directories(quboprune_images SYSTEM INTERFACE "${QUBOPRUNE_OPENCV_INCLUDE}")
foreach(module core imgcodecs imgproc)
  find_library(QUBOPRUNE_OPENCV_${module} opencv_${module} REQUIRED)
  target_link_libraries(quboprune_images INTERFACE "${QUBOPRUNE_OPENCV_${module}}")
endforeach()
find_library(QUBOPRUNE_MATIO matio REQUIRED)
find_path(QUBOPRUNE_MATIO_INCLUDE matio.h REQUIRED)
find_library(QUBOPRUNE_HDF5 NAMES hdf5_serial hdf5 PATH_SUFFIXES hdf5/serial REQUIRED)
find_path(QUBOPRUNE_HDF5_INCLUDE hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
add_library(quboprune_mat INTERFACE)
add_library(quboprune::mat ALIAS quboprune_mat)
target_include_directories(quboprune_mat SYSTEM INTERFACE "${QUBOPRUNE_MATIO_INCLUDE}" "${QUBOPRUNE_HDF5_INCLUDE}")
target_link_libraries(quboprune_mat INTERFACE "${QUBOPRUNE_MATIO}" "${QUBOPRUNE_HDF5}")

# The charts of report.html: Chart.js's own script, put into the page.
find_file(QUBOPRUNE_CHART_LIBRARY chart.min.js REQUIRED
          PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist)
