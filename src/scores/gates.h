#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <utility>
#include <vector>

#include "quboprune/channel_groups.h"
#include "quboprune/executor.h"

namespace quboprune {

/// Gates of value 1 on everything that the gate points read, for one run of a batch: their gradients, by
/// sample and group, gather during backward(). A value that several nodes read gets one gate, each node that
/// takes means over channels gets weights of its own.
class GateRun {
 public:
  /// samples: the batch's size.
  GateRun(const ChannelGroups& groups, std::int64_t samples);

  /// For RunOptions::on_input and on_mean. Keep this object until backward() is done.
  InputHook hook();
  MeanHook mean_hook();

  /// G [samples, groups] of the backward passes so far, and back to zero.
  at::Tensor take();
  /// False if some gate's first axis isn't the batch: then only batches of one sample can be told apart.
  bool separable() const { return separable_; }

 private:
  /// Of each index on a gate's axis its group, and a place of their own for those that stay.
  at::Tensor places_of(const GatePoint& gate) const;
  /// Is the first axis of what a gate multiplies the batch's? Of one sample it had length 1: lengths that
  /// equal the batch's by chance (a sequence's) don't count.
  bool by_sample(const GatePoint& gate) const;
  /// product: of values and their gradients, the gate's axis and, where `by_sample`, the batch's first.
  void gather(int axis, bool by_sample, const at::Tensor& places, const at::Tensor& product);

  const ChannelGroups& groups_;
  std::int64_t samples_;
  bool separable_ = true;
  at::Tensor total_;
  std::map<std::pair<int, int>, const GatePoint*> by_input_;
  std::map<int, const GatePoint*> means_;            // by node
  std::map<std::pair<int, int>, at::Tensor> gated_;  // by value and axis
};

/// Activations as rows: [everything but the axis, size of the axis]. A view where the layout allows it.
at::Tensor rows_of(const at::Tensor& activation, int axis);

}  // namespace quboprune
