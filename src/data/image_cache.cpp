#include "data/image_cache.h"

namespace quboprune {

std::shared_ptr<const ImagePair> ImageCache::get(std::size_t item) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(item); found != entries_.end()) {
      ages_.splice(ages_.begin(), ages_, found->second.age);
      return found->second.image;
    }
  }
  // Decoded outside the lock, so that threads decode at once; two may decode the same image, once.
  auto image = std::make_shared<const ImagePair>(source_.load(item, channels_));
  const std::lock_guard lock(mutex_);
  if (const auto found = entries_.find(item); found != entries_.end()) return found->second.image;
  ages_.push_front(item);
  entries_[item] = {image, ages_.begin()};
  bytes_ += image->bytes();
  forget_oldest();
  return image;
}

void ImageCache::forget_oldest() const {
  while (bytes_ > limit_ && entries_.size() > 1) {
    const std::size_t oldest = ages_.back();
    bytes_ -= entries_.at(oldest).image->bytes();
    entries_.erase(oldest);
    ages_.pop_back();
    forgot_ = true;
  }
}

bool ImageCache::holds(std::size_t item) const {
  return entries_.count(item) > 0;
}

std::size_t ImageCache::choose(const std::vector<std::size_t>& choices, Rng& rng) const {
  const auto any = [&] { return rng.below(static_cast<std::uint32_t>(choices.size())); };
  const std::size_t first = any();
  const bool refresh = rng.below(128) == 0;
  const std::lock_guard lock(mutex_);
  if (!forgot_ || refresh || holds(choices[first])) return first;
  constexpr int tries = 256;  // ends also where hardly any of the choices is in memory
  for (int i = 0; i < tries; ++i)
    if (const std::size_t other = any(); holds(choices[other])) return other;
  return first;
}

}  // namespace quboprune
