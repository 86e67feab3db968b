#include "quboprune/model.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>

#include <fstream>
#include <limits>

#include "model/embed_data.h"
#include "model/expand_sparse.h"
#include "model/inline_functions.h"
#include "model/read_graph.h"
#include "model/serialise.h"
#include "model/shared_fills.h"
#include "model/shared_lists.h"
#include "model/stored_file.h"
#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {

struct Model::File {
  std::shared_ptr<const onnx::ModelProto> proto;
  Graph as_read;                                   ///< before part_shared_fills(): what the message says
  std::map<std::string, std::string> list_copies;  ///< of part_shared_lists()
};

namespace {

/// A whole file, or of a large one all but its weights.
ThinModel parse(const std::filesystem::path& path, std::uint64_t in_memory) {
  const google::protobuf::LogSilencer
      quiet;  // protobuf reports damaged input on stderr; ours is the only report
  const auto stored = StoredFile::open(path);
  if (stored && stored->size() > in_memory) {
    if (auto thin = parse_thin(stored)) return *std::move(thin);
  }
  std::ifstream file = open_file(path);
  auto proto = std::make_shared<onnx::ModelProto>();
  google::protobuf::io::IstreamInputStream stream(&file);
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(std::numeric_limits<int>::max());
  if (!proto->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    throw InputError(path.string() + ": not an ONNX model, or cut short; export it again");
  }
  return {proto, {}};
}

}  // namespace

Model Model::load(const std::filesystem::path& path, const LoadOptions& options) {
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    throw InputError(path.string() + ": no such file; check the path");
  if (std::filesystem::is_directory(path, error))
    throw InputError(path.string() + ": is a folder; name the .onnx file in it");
  const auto [proto, data] = parse(path, options.in_memory);
  if (!proto->has_graph() || proto->graph().output_size() == 0) {
    throw InputError(path.string() + ": not an ONNX model (it holds no graph with outputs); export it again");
  }
  Model model;
  model.path_ = path;
  if (std::filesystem::is_regular_file(path, error)) model.sha256_ = sha256_of_file(path);
  try {
    embed_inner_data(*proto, {path.parent_path(), options.in_memory});
    inline_functions(*proto);
    expand_sparse(*proto);
    auto list_copies = part_shared_lists(*proto->mutable_graph());
    model.graph_ = read_graph(proto, data, {path.parent_path(), options.in_memory}, list_copies);
    model.file_ = std::make_shared<const File>(File{proto, model.graph_, std::move(list_copies)});
    part_shared_fills(model.graph_);
  } catch (const InputError& e) {
    throw InputError(path.string() + ": " + e.what());
  }
  return model;
}

void Model::write(const Graph& changed, const std::map<std::string, std::string>& metadata,
                  const ByteSink& sink) const {
  try {
    const Graph written = with_unchanged_fills_shared(file_->as_read, changed);
    ModelToWrite model = write_graph(*file_->proto, file_->as_read, written, metadata);
    share_equal_lists(*model.proto.mutable_graph(), file_->list_copies);
    serialise(std::move(model), sink);
  } catch (const InputError& e) {
    throw InputError(path_.string() + ": " + e.what());
  }
}

std::string Model::serialized(const Graph& changed,
                              const std::map<std::string, std::string>& metadata) const {
  std::string bytes;
  write(changed, metadata, [&](std::string_view piece) { bytes += piece; });
  return bytes;
}

void Model::save(const std::filesystem::path& path, const Graph& changed,
                 const std::map<std::string, std::string>& metadata) const {
  write_file_atomically(path, [&](const ByteSink& sink) { write(changed, metadata, sink); });
}

}  // namespace quboprune
