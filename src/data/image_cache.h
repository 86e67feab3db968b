#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "data/image_source.h"
#include "quboprune/random.h"

namespace quboprune {

/// Decoded images of a source, the least recently used forgotten beyond `bytes`. Safe from several threads.
class ImageCache {
 public:
  ImageCache(const ImageSource& source, int channels, std::size_t bytes)
      : source_(source), channels_(channels), limit_(bytes) {}

  /// The image, decoded now if need be. What is returned stays valid when the cache forgets it.
  std::shared_ptr<const ImagePair> get(std::size_t item) const;

  /// Number of an entry of `choices` (items), at random. Uniform while nothing has been forgotten; afterwards
  /// nearly always one whose image is in memory: decoding a large photograph takes as long as drawing
  /// hundreds of crops, and a new one every 128 still passes all of them by.
  std::size_t choose(const std::vector<std::size_t>& choices, Rng& rng) const;

 private:
  struct Entry {
    std::shared_ptr<const ImagePair> image;
    std::list<std::size_t>::iterator age;
  };
  bool holds(std::size_t item) const;
  void forget_oldest() const;

  const ImageSource& source_;
  const int channels_;
  const std::size_t limit_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::size_t, Entry> entries_;
  mutable std::list<std::size_t> ages_;  ///< items, newest first
  mutable std::size_t bytes_ = 0;
  mutable bool forgot_ = false;
};

}  // namespace quboprune
