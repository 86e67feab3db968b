#pragma once

#include "model/write_graph.h"
#include "quboprune/file.h"

namespace quboprune {

/// Hands the bytes of an ONNX file to `write`, a piece at a time: no more than one tensor lies in memory for
/// it. Takes the message apart. Throws InputError above the 2 GB that one ONNX file can hold.
void serialise(ModelToWrite model, const ByteSink& write);

}  // namespace quboprune
