#pragma once

#include <algorithm>
#include <cctype>
#include <string>

#include "quboprune/mask.h"

namespace quboprune {

/// A to Z as a to z.
inline std::string lowered(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// 0s and 1s, to look masks up by.
inline std::string text_of(const Mask& mask) {
  std::string text;
  for (const auto x : mask) text += x != 0 ? '1' : '0';
  return text;
}

}  // namespace quboprune
