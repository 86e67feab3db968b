#include "model/stored_file.h"

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>

#include "model/element_types.h"
#include "quboprune/error.h"

namespace quboprune {

std::shared_ptr<const StoredFile> StoredFile::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return nullptr;
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor);
    return nullptr;
  }
  return std::shared_ptr<const StoredFile>(
      new StoredFile(path, descriptor, static_cast<std::uint64_t>(status.st_size)));
}

StoredFile::StoredFile(std::filesystem::path path, int descriptor, std::uint64_t size)
    : path_(std::move(path)), descriptor_(descriptor), size_(size) {}

StoredFile::~StoredFile() {
  close(descriptor_);
}

void StoredFile::read(std::uint64_t offset, void* to, std::size_t size) const {
  auto* next = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t count = pread(descriptor_, next, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0)
      throw InputError(path_.string() +
                       ": was cut short while it was being read; leave it as it is meanwhile");
    next += count;
    offset += static_cast<std::uint64_t>(count);
    size -= static_cast<std::size_t>(count);
  }
}

namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;
using Wire = google::protobuf::internal::WireFormatLite;

/// Copies a message field by field; of initialisers all but large raw data, whose places it notes. Models
/// that are too deep, too large or broken are left to the ordinary parser, which says what is wrong.
class ThinCopy {
 public:
  explicit ThinCopy(const std::shared_ptr<const StoredFile>& file) : file_(file) {}

  std::optional<ThinModel> run() {
    if (file_->size() > static_cast<std::uint64_t>(std::numeric_limits<int>::max())) return std::nullopt;
    google::protobuf::io::FileInputStream stream(file_->descriptor());
    CodedInputStream in(&stream);
    in.SetTotalBytesLimit(std::numeric_limits<int>::max());
    std::string bytes;
    if (!copy(in, bytes, Level::model) || !in.ConsumedEntireMessage()) return std::nullopt;
    ThinModel result{std::make_shared<onnx::ModelProto>(), std::move(data_)};
    if (!result.proto->ParseFromString(bytes) ||
        result.proto->graph().initializer_size() != static_cast<int>(result.data.size()))
      return std::nullopt;
    fetch_odd_types(result);
    return result;
  }

 private:
  enum class Level { model, graph, tensor };

  /// What LibTorch has no type of its own for can't be written again from a tensor: it comes along after all.
  static void fetch_odd_types(ThinModel& model) {
    for (std::size_t i = 0; i < model.data.size(); ++i) {
      StoredBytes& stored = model.data[i];
      auto& tensor = *model.proto->mutable_graph()->mutable_initializer(static_cast<int>(i));
      if (!stored.file || (held_type(tensor.data_type()) && !is_widened(tensor.data_type()))) continue;
      tensor.mutable_raw_data()->resize(stored.size);
      stored.file->read(stored.offset, tensor.mutable_raw_data()->data(), stored.size);
      stored = {};
    }
  }

  /// The message that a field of this one holds, where something in it stays behind.
  static std::optional<Level> inner(Level level, std::uint32_t tag) {
    const auto is = [&](int field) { return tag == Wire::MakeTag(field, Wire::WIRETYPE_LENGTH_DELIMITED); };
    if (level == Level::model && is(onnx::ModelProto::kGraphFieldNumber)) return Level::graph;
    if (level == Level::graph && is(onnx::GraphProto::kInitializerFieldNumber)) return Level::tensor;
    return std::nullopt;
  }

  bool copy(CodedInputStream& in, std::string& to, Level level) {
    StringOutputStream stream(&to);
    CodedOutputStream out(&stream);
    while (const std::uint32_t tag = in.ReadTag()) {
      if (const auto next = inner(level, tag)) {
        if (!copy_inner(in, out, tag, *next)) return false;
      } else if (level == Level::tensor && tag == Wire::MakeTag(onnx::TensorProto::kRawDataFieldNumber,
                                                                Wire::WIRETYPE_LENGTH_DELIMITED)) {
        if (!copy_data(in, out, tag)) return false;
      } else if (!Wire::SkipField(&in, tag, &out)) {
        return false;
      }
    }
    return true;
  }

  /// The size of what follows; nothing if the message around it, or the file, ends before.
  std::optional<std::uint32_t> read_size(CodedInputStream& in) const {
    std::uint32_t size = 0;
    if (!in.ReadVarint32(&size)) return std::nullopt;
    const int left = in.BytesUntilLimit();  // -1 where there is no limit but the file's end
    const auto in_file = static_cast<std::int64_t>(file_->size()) - in.CurrentPosition();
    if (std::int64_t{size} > (left < 0 ? in_file : std::min<std::int64_t>(left, in_file)))
      return std::nullopt;
    return size;
  }

  bool copy_inner(CodedInputStream& in, CodedOutputStream& out, std::uint32_t tag, Level level) {
    const auto size = read_size(in);
    if (!size) return false;
    const auto limit = in.PushLimit(static_cast<int>(*size));
    if (level == Level::tensor) data_.emplace_back();
    std::string bytes;
    if (!copy(in, bytes, level) || !in.ConsumedEntireMessage() || in.BytesUntilLimit() != 0) return false;
    in.PopLimit(limit);
    out.WriteTag(tag);
    out.WriteVarint32(static_cast<std::uint32_t>(bytes.size()));
    out.WriteString(bytes);
    return true;
  }

  bool copy_data(CodedInputStream& in, CodedOutputStream& out, std::uint32_t tag) {
    const auto size = read_size(in);
    if (!size) return false;
    StoredBytes& stored = data_.back();
    if (*size >= kStoredBytes) {
      stored = {file_, static_cast<std::uint64_t>(in.CurrentPosition()), *size};
      return in.Skip(static_cast<int>(*size));
    }
    stored = {};  // of a field that comes twice the last counts
    std::string bytes;
    if (!in.ReadString(&bytes, static_cast<int>(*size))) return false;
    out.WriteTag(tag);
    out.WriteVarint32(*size);
    out.WriteString(bytes);
    return true;
  }

  std::shared_ptr<const StoredFile> file_;
  std::vector<StoredBytes> data_;
};

}  // namespace

std::optional<ThinModel> parse_thin(const std::shared_ptr<const StoredFile>& file) {
  return ThinCopy(file).run();
}

}  // namespace quboprune
