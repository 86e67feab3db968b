#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "judging/mask_evaluator_keys.h"
#include "ops/base/blocked_kernels.h"

namespace quboprune {

/// Runs keyed networks on the same batches of samples; what two of them compute alike is computed once, as
/// far as memory allows.
///
/// For each batch: expect() all networks in their order, then output() of each in that order, then finish().
class SharedRuns {
 public:
  /// limit: bytes of activations kept for others; fast_limit: of kernels for fast convolutions, 0: none of
  /// these.
  SharedRuns(std::size_t limit, std::size_t fast_limit)
      : limit_(limit), fast_(fast_limit > 0 ? std::make_unique<BlockedKernels>(fast_limit) : nullptr) {}

  /// From now on values of this network that others may go on from are kept between batches' runs: the next
  /// masks to come resemble the best one.
  void follow(const KeyedNetwork& best);
  /// The order in which batches come from now on: where memory is short, values of earlier ones are kept.
  /// Without it the order of their numbers.
  void take_turns(std::span<const std::size_t> order);

  void expect(std::span<const KeyedNetwork* const> networks, int batch);
  /// First output, for the graph's inputs. batch: which samples the inputs are of.
  at::Tensor output(const KeyedNetwork& network, const std::vector<at::Tensor>& inputs, int batch);
  void finish(int batch);
  /// The networks that were run so far won't be again.
  void release_kernels() {
    if (fast_) fast_->release_kernels();
  }

  std::size_t bytes() const { return bytes_; }
  std::size_t peak_bytes() const { return peak_; }
  std::size_t nodes_run() const { return nodes_run_; }

 private:
  using Place = std::pair<int, std::string>;  // batch, key
  struct Kept {
    at::Tensor tensor;
    bool followed = false;
  };

  void store(const std::string& key, int batch, const at::Tensor& tensor);
  bool make_room(std::size_t bytes, int batch, bool followed);
  void drop(std::map<Place, Kept>::iterator entry);
  std::size_t turn_of(int batch) const;

  std::size_t limit_, bytes_ = 0, peak_ = 0, nodes_run_ = 0;
  std::unique_ptr<BlockedKernels> fast_;
  std::map<Place, Kept> kept_;
  std::unordered_map<std::string, int> uses_;  // still to come, of the batch that is run
  std::unordered_set<std::string> followed_;
  std::vector<std::size_t> turns_;  // by batch
};

}  // namespace quboprune
