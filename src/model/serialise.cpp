#include "model/serialise.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <limits>

#include "quboprune/error.h"

namespace quboprune {
namespace {

using google::protobuf::io::CodedOutputStream;
using Wire = google::protobuf::internal::WireFormatLite;

/// What comes before the bytes of a field: its number and their count.
std::string head(int field, std::size_t size) {
  std::array<std::uint8_t, 16> bytes{};
  auto* end =
      CodedOutputStream::WriteTagToArray(Wire::MakeTag(field, Wire::WIRETYPE_LENGTH_DELIMITED), bytes.data());
  end = CodedOutputStream::WriteVarint64ToArray(size, end);
  return {bytes.data(), end};
}

std::string tensor_head(const onnx::TensorProto& proto, const Constant& data) {
  std::string bytes = proto.SerializeAsString();
  if (data.defined()) bytes += head(onnx::TensorProto::kRawDataFieldNumber, data.nbytes());
  return bytes;
}

}  // namespace

void serialise(ModelToWrite model, const ByteSink& write) {
  onnx::GraphProto graph;
  graph.Swap(model.proto.mutable_graph());
  model.proto.clear_graph();
  google::protobuf::RepeatedPtrField<onnx::TensorProto> initialisers;
  initialisers.Swap(graph.mutable_initializer());

  const auto size_of = [&](int i) {
    const Constant& data = model.data[static_cast<std::size_t>(i)];
    const std::size_t plain = initialisers[i].ByteSizeLong();
    if (!data.defined()) return plain;
    return plain + head(onnx::TensorProto::kRawDataFieldNumber, data.nbytes()).size() + data.nbytes();
  };
  std::size_t size = graph.ByteSizeLong();
  for (int i = 0; i < initialisers.size(); ++i)
    size += head(onnx::GraphProto::kInitializerFieldNumber, size_of(i)).size() + size_of(i);
  if (size + model.proto.ByteSizeLong() > static_cast<std::size_t>(std::numeric_limits<int>::max()) - 16)
    throw InputError("the smaller model is above the 2 GB that one ONNX file can hold");

  write(model.proto.SerializeAsString());
  write(head(onnx::ModelProto::kGraphFieldNumber, size));
  write(graph.SerializeAsString());
  for (int i = 0; i < initialisers.size(); ++i) {
    const Constant& data = model.data[static_cast<std::size_t>(i)];
    write(head(onnx::GraphProto::kInitializerFieldNumber, size_of(i)));
    write(tensor_head(initialisers[i], data));
    if (!data.defined()) continue;
    const at::Tensor numbers = data.tensor().detach().contiguous();
    write({static_cast<const char*>(numbers.data_ptr()), numbers.nbytes()});
  }
}

}  // namespace quboprune
