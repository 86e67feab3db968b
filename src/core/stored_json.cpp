#include "core/stored_json.h"

#include <string_view>

#include "quboprune/error.h"
#include "quboprune/file.h"

namespace quboprune {

using nlohmann::json;

namespace {

/// Hexadecimal digits in front of the CBOR: its SHA-256, so that a damaged file is never taken up.
constexpr std::size_t kDigest = 64;

}  // namespace

void store_json(const std::filesystem::path& path, const std::string& key, json value) {
  const auto cbor = json::to_cbor(json{{"key", key}, {"value", std::move(value)}});
  const std::string bytes(cbor.begin(), cbor.end());
  write_file_atomically(path, sha256_of_bytes(bytes) + bytes);
}

std::string try_to_store_json(const std::filesystem::path& path, const std::string& key, json value) {
  try {
    store_json(path, key, std::move(value));
    return {};
  } catch (const InputError& error) {
    return error.what();
  }
}

json stored_json(const std::filesystem::path& path, const std::string& key) {
  if (is_absent(path)) return nullptr;
  const std::string file = read_file(path);
  if (file.size() < kDigest) return nullptr;
  const std::string_view digest = std::string_view(file).substr(0, kDigest);
  const std::string_view cbor = std::string_view(file).substr(kDigest);
  if (sha256_of_bytes(cbor) != digest) return nullptr;
  json stored = json::from_cbor(cbor, true, /*allow_exceptions=*/false);
  if (!stored.is_object() || stored.value("key", "") != key) return nullptr;
  return std::move(stored["value"]);
}

}  // namespace quboprune
