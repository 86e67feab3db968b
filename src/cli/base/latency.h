#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace quboprune {

/// Milliseconds for one run of each ONNX file in ONNX Runtime: the lower quartile of up to 30 rounds, each in
/// an order of its own, on the same random input, on the threads given (0: all cores). Asks the Python that
/// the environment variable QUBOPRUNE_PYTHON names (python3 otherwise) for its onnxruntime; an empty object
/// where that isn't there, and {"error"} where a file doesn't load.
///
/// Returns {"runtime", "threads", "input", "milliseconds": [one for each file]}.
nlohmann::json onnx_runtime_latency(const std::vector<std::string>& files, const std::string& input_size,
                                    int threads);

}  // namespace quboprune
