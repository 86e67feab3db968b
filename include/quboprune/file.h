#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

namespace quboprune {

/// Puts `bytes` into `path` in one step: written to a new file beside it, flushed, then renamed. So a crash,
/// a full disk or a second writer leaves the old file, or the new one, never half of one. Permissions stay.
///
/// Throws InputError if the folder isn't there, `path` is a folder, or the file can't be written.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Takes a file's bytes, a piece at a time.
using ByteSink = std::function<void(std::string_view)>;

/// The same for bytes that are made as they are written: `produce` hands them to the sink that it is given.
/// What it throws leaves the old file, or none.
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const ByteSink&)>& produce);

/// Says before long work whether write_file_atomically(path, ...) could succeed: the folder is there and a
/// file can be made in it. Leaves nothing behind. Throws the InputError that the write would have thrown.
void check_writable(const std::filesystem::path& path);

/// Whether there is nothing of this name. Of a file that can't be looked at that isn't known: false, and
/// opening it says what is wrong.
bool is_absent(const std::filesystem::path& path);

/// Makes a folder, with those above it, if it isn't there. Throws InputError where that can't be done or the
/// folder takes no file; `named_by` is what named it, as "--work".
void make_folder(const std::filesystem::path& folder, const std::string& named_by);

/// A file opened to be read, byte by byte. Throws InputError if it isn't there, is a folder, or can't be
/// opened.
std::ifstream open_file(const std::filesystem::path& path);

/// All bytes of a file. Throws InputError if it isn't there, is a folder, or can't be read.
std::string read_file(const std::filesystem::path& path);

/// SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
std::string sha256_of_bytes(std::string_view bytes);

/// The same of a file's bytes, read in pieces. Throws InputError like read_file.
std::string sha256_of_file(const std::filesystem::path& path);

/// The most memory that this process has held so far, in bytes, as the system counts it (resident set).
/// It never falls: a stage's own peak is seen only where it is higher than all before it.
std::int64_t peak_rss_bytes();

}  // namespace quboprune
