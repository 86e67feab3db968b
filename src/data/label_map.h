#pragma once

#include "quboprune/dataset.h"

namespace quboprune {

/// Whether a map of labels has one that counts (see top1); other targets do.
bool tells(const Sample& sample, TargetKind kind);

}  // namespace quboprune
