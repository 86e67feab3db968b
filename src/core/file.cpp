#include "quboprune/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#include <tuple>

#include "quboprune/error.h"

namespace quboprune {
namespace {

namespace fs = std::filesystem;

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// A new file beside the one that is meant; gone again unless it was renamed.
class FileBeside {
 public:
  explicit FileBeside(const fs::path& target) : target_(target) {
    std::error_code ignored;
    const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
    if (!fs::is_directory(folder, ignored)) {
      throw InputError(fmt::format("{}: there is no folder {}: make it first, or write elsewhere",
                                   target.string(), folder.string()));
    }
    if (fs::is_directory(target, ignored)) {
      throw InputError(fmt::format("{}: is a folder: name the file to write", target.string()));
    }
    // Not mkstemp: its files are readable by their owner alone. The process and thread make the name ours.
    int attempt = 0;
    do {
      name_ = (folder / fmt::format(".{}.{}-{}-{}", target.filename().string(), getpid(), gettid(), attempt))
                  .string();
      descriptor_ = open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && errno == EEXIST && ++attempt < 100);
    if (descriptor_ < 0) fail();
    struct stat old {};  // its permissions stay where the file system has any
    if (stat(target_.c_str(), &old) == 0 && S_ISREG(old.st_mode))
      std::ignore = fchmod(descriptor_, old.st_mode & 07777);
  }
  FileBeside(const FileBeside&) = delete;
  FileBeside& operator=(const FileBeside&) = delete;
  ~FileBeside() {
    if (descriptor_ >= 0) close(descriptor_);
    if (descriptor_ >= 0 && !renamed_) std::remove(name_.c_str());
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail();
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  void rename_to_target() {
    if (fsync(descriptor_) != 0) fail();
    if (std::rename(name_.c_str(), target_.c_str()) != 0) fail();
    renamed_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    throw InputError(
        fmt::format("{}: can't be written: {}: check the folder's permissions and the free space",
                    target_.string(), reason(errno)));
  }

  fs::path target_;
  std::string name_;
  int descriptor_ = -1;
  bool renamed_ = false;
};

/// The file that a link stands for, there already or not: renaming one over the link would leave its file as
/// it was.
fs::path behind_links(fs::path path) {
  std::error_code unclear;
  for (int followed = 0; fs::is_symlink(path, unclear); ++followed) {
    if (followed == 40) throw InputError(fmt::format("{}: is a link in a circle: remove it", path.string()));
    path = path.parent_path() / fs::read_symlink(path, unclear);
  }
  return path;
}

/// /dev/null, /dev/stdout, a named pipe: renaming a file over these would take them away.
bool is_device_or_pipe(const fs::path& path) {
  std::error_code ignored;
  return fs::is_other(path, ignored);
}

void write_straight_into(const fs::path& path, const std::function<void(const ByteSink&)>& produce) {
  std::ofstream out(path, std::ios::binary);
  produce(
      [&](std::string_view bytes) { out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())); });
  out.flush();
  if (!out) throw InputError(fmt::format("{}: can't be written: choose another file", path.string()));
}

/// Hands a file's bytes, a piece at a time, to `take`.
template <typename Take>
void read_in_pieces(const fs::path& path, Take take) {
  std::ifstream in = open_file(path);
  std::array<char, 1 << 16> piece{};
  while (in) {
    in.read(piece.data(), piece.size());
    take(std::string_view(piece.data(), static_cast<std::size_t>(in.gcount())));
  }
  if (in.bad()) throw InputError(fmt::format("{}: can't be read to its end", path.string()));
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
          "SHA-256 can't be started");
  }
  void add(std::string_view bytes) {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "SHA-256 failed");
  }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1, "SHA-256 failed");
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

void write_file_atomically(const fs::path& path, const std::function<void(const ByteSink&)>& produce) {
  if (is_device_or_pipe(path)) return write_straight_into(path, produce);
  FileBeside file(behind_links(path));
  produce([&](std::string_view bytes) { file.write(bytes); });
  file.rename_to_target();
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  write_file_atomically(path, [&](const ByteSink& write) { write(bytes); });
}

void check_writable(const fs::path& path) {
  if (is_device_or_pipe(path)) return;
  FileBeside file(behind_links(path));
}

bool is_absent(const fs::path& path) {
  std::error_code unclear;
  return fs::status(path, unclear).type() == fs::file_type::not_found;
}

void make_folder(const fs::path& folder, const std::string& named_by) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder, error))
    throw InputError(fmt::format("{} {}: no folder can be made there: name a folder, or one that can be made",
                                 named_by, folder.string()));
  check_writable(folder / "state");
}

std::ifstream open_file(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    throw InputError(fmt::format("{}: is a folder: name the file", path.string()));
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    throw InputError(fmt::format("{}: can't be opened: {}: check the name and its permissions", path.string(),
                                 reason(errno)));
  }
  return in;
}

std::string read_file(const fs::path& path) {
  std::string bytes;
  read_in_pieces(path, [&](std::string_view piece) { bytes += piece; });
  return bytes;
}

std::string sha256_of_bytes(std::string_view bytes) {
  Sha256 sha;
  sha.add(bytes);
  return sha.hex();
}

std::string sha256_of_file(const fs::path& path) {
  Sha256 sha;
  read_in_pieces(path, [&](std::string_view piece) { sha.add(piece); });
  return sha.hex();
}

std::int64_t peak_rss_bytes() {
  // Not getrusage, where Linux has better: that counts what the process held before exec too, as a copy of
  // the one that started it (a Python with a large array, say).
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  rusage usage{};
  check(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage failed");
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;  // Linux counts it in kilobytes
}

}  // namespace quboprune
