#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <string>
#include <string_view>

namespace quboprune {

/// The input of an operator of ONNX's own that holds the sizes of its output as a list; -1: none.
int place_of_sizes(std::string_view op);

/// Gives every node that reads a joined list of sizes (a Concat's output) a Concat of its own. Exporters keep
/// one of each: two Reshapes to [n, 16, h, w] then read the same 16, which ties channels that have nothing to
/// do with each other. Returns what each copy's output is a copy of.
std::map<std::string, std::string> part_shared_lists(onnx::GraphProto& graph);

/// Copies that are still what they are copies of are read from there again, so that a file only grows by what
/// did change.
void share_equal_lists(onnx::GraphProto& graph, const std::map<std::string, std::string>& copies);

}  // namespace quboprune
