#include "data/label_map.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace quboprune {

bool tells(const Sample& sample, TargetKind kind) {
  return kind != TargetKind::label_map ||
         at::logical_and(sample.target.ge(0), sample.target.ne(255)).any().item<bool>();
}

}  // namespace quboprune
