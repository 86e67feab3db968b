#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

namespace quboprune {

/// A file that stays open, to read parts of it when they are needed.
class StoredFile {
 public:
  /// Nothing if it can't be opened, or isn't a file of a size (a pipe).
  static std::shared_ptr<const StoredFile> open(const std::filesystem::path& path);
  StoredFile(const StoredFile&) = delete;
  StoredFile& operator=(const StoredFile&) = delete;
  ~StoredFile();

  /// Reads `size` bytes from `offset` on. Throws InputError where the file has become shorter meanwhile.
  void read(std::uint64_t offset, void* to, std::size_t size) const;
  std::uint64_t size() const { return size_; }
  int descriptor() const { return descriptor_; }

 private:
  StoredFile(std::filesystem::path path, int descriptor, std::uint64_t size);

  std::filesystem::path path_;
  int descriptor_;
  std::uint64_t size_;
};

/// Bytes of a file. No file: nothing.
struct StoredBytes {
  std::shared_ptr<const StoredFile> file;
  std::uint64_t offset = 0;
  std::size_t size = 0;
};

/// Smaller tensors aren't worth a read of their own.
constexpr std::size_t kStoredBytes = 4096;

/// An ONNX model without the raw data of its large initialisers.
struct ThinModel {
  std::shared_ptr<onnx::ModelProto> proto;
  std::vector<StoredBytes> data;  ///< by initialiser: the raw data that isn't in the proto
};

/// Parses a file and leaves its weights where they are. Nothing if it isn't an ONNX model.
std::optional<ThinModel> parse_thin(const std::shared_ptr<const StoredFile>& file);

}  // namespace quboprune
