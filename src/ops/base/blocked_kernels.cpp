#include "ops/base/blocked_kernels.h"

#include <ATen/Functions.h>

#include "ops/base/convolution.h"

namespace quboprune {
namespace {

std::int64_t blocks_of(std::int64_t channels) {
  return (channels + kChannelBlock - 1) / kChannelBlock;
}

}  // namespace

at::Tensor blocked(const at::Tensor& plain) {
  const auto n = plain.size(0), c = plain.size(1), h = plain.size(2), w = plain.size(3),
             blocks = blocks_of(c);
  return at::constant_pad_nd(plain, {0, 0, 0, 0, 0, blocks * kChannelBlock - c})
      .reshape({n * blocks, kChannelBlock, h, w})
      .contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor unblocked(const at::Tensor& blocked, std::int64_t channels) {
  const auto blocks = blocks_of(channels), h = blocked.size(2), w = blocked.size(3);
  return blocked.reshape({blocked.size(0) / blocks, blocks * kChannelBlock, h, w})
      .narrow(1, 0, channels)
      .contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace quboprune

#ifdef QUBOPRUNE_ONEDNN

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

namespace quboprune {
namespace {

using dnnl::memory;

/// Below this direct convolutions are as fast: measured with 4 samples on one AVX-512 core.
constexpr std::int64_t kFewestChannels = 16, kFewestPixels = 4096;
constexpr std::size_t kMostShapes = 1024;

using Shape = std::array<std::int64_t, 7>;  // N, C, K, H, W, pad, ReLU

memory::desc layout(const memory::dims& dims, memory::format_tag tag) {
  return {dims, memory::data_type::f32, tag};
}

/// A convolution of one shape.
struct Prepared {
  /// Throws dnnl::error where oneDNN has none.
  Prepared(const dnnl::engine& engine, const Shape& shape) {
    const auto [n, c, k, h, w, pad, relu] = shape;
    input = layout({n, c, h, w}, memory::format_tag::nChw16c);
    output = layout({n, k, h + 2 * pad - 2, w + 2 * pad - 2}, memory::format_tag::nChw16c);
    given_kernel = layout({k, c, 3, 3}, memory::format_tag::oihw);
    bias = layout({k}, memory::format_tag::x);
    const dnnl::convolution_forward::desc wanted(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_winograd, input,
        layout({k, c, 3, 3}, memory::format_tag::any), bias, output, {1, 1}, {pad, pad}, {pad, pad});
    dnnl::primitive_attr attributes;
    if (relu != 0) {
      dnnl::post_ops then;
      then.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
      attributes.set_post_ops(then);
    }
    const dnnl::convolution_forward::primitive_desc description(wanted, attributes, engine);
    convolution = dnnl::convolution_forward(description);
    own_kernel = description.weights_desc();
  }

  dnnl::convolution_forward convolution;
  memory::desc input, output, given_kernel, bias, own_kernel;
};

/// What reads and gives blocked tensors and has no weights, for one shape: one block of channels is as
/// another.
struct ByChannel {
  dnnl::primitive primitive;
  memory::desc input, output;
};

memory::desc blocks(std::int64_t n, std::int64_t h, std::int64_t w) {
  return layout({n, kChannelBlock, h, w}, memory::format_tag::nChw16c);
}

ByChannel prepared_pool(const dnnl::engine& engine, const memory::desc& input, const Window& w) {
  const auto& in = input.dims();
  const auto after = [&](std::size_t a) {
    return (in[a + 2] + w.begin[a] + w.end[a] - w.kernel[a]) / w.strides[a] + 1;
  };
  const memory::desc output = blocks(in[0], after(0), after(1));
  const dnnl::pooling_forward::desc wanted(dnnl::prop_kind::forward_inference, dnnl::algorithm::pooling_max,
                                           input, output, w.strides, w.kernel, w.begin, w.end);
  return {dnnl::pooling_forward({wanted, engine}), input, output};
}

bool is_blocked(const at::Tensor& x) {
  return x.dim() == 4 && x.size(1) == kChannelBlock && x.scalar_type() == at::kFloat && x.numel() > 0;
}

float* data(const at::Tensor& tensor) {
  return static_cast<float*>(tensor.data_ptr());
}

}  // namespace

class BlockedKernels::Engine {
 public:
  explicit Engine(std::size_t bytes) : limit_(bytes) {}

  std::optional<at::Tensor> convolution(const at::Tensor& input, const at::Tensor& weight,
                                        const at::Tensor& bias, std::int64_t pad, bool relu) {
    const auto samples = input.size(0) / blocks_of(weight.size(1)), k = weight.size(0);
    const Shape shape{samples, weight.size(1), k, input.size(2), input.size(3), pad, relu ? 1 : 0};
    const Prepared* prepared = remembered(prepared_, shape, [&] { return Prepared(engine_, shape); });
    if (prepared == nullptr) return std::nullopt;
    const at::Tensor x = input.contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor b = bias.defined() ? bias.contiguous() : at::zeros({k}, at::kFloat);
    at::Tensor result = empty(samples, k, prepared->output.dims()[2], prepared->output.dims()[3]);
    prepared->convolution.execute(stream_, {{DNNL_ARG_SRC, {prepared->input, engine_, data(x)}},
                                            {DNNL_ARG_WEIGHTS, transformed(weight, *prepared)},
                                            {DNNL_ARG_BIAS, {prepared->bias, engine_, data(b)}},
                                            {DNNL_ARG_DST, {prepared->output, engine_, data(result)}}});
    stream_.wait();
    return result;
  }

  at::Tensor blocked(const at::Tensor& plain) {
    const at::Tensor x = plain.contiguous(at::MemoryFormat::ChannelsLast);
    const memory::dims sizes = x.sizes().vec();
    at::Tensor result = empty(sizes[0], sizes[1], sizes[2], sizes[3]);
    reorder({layout(sizes, memory::format_tag::nhwc), engine_, data(x)},
            {layout(sizes, memory::format_tag::nChw16c), engine_, data(result)});
    return result;
  }

  at::Tensor unblocked(const at::Tensor& blocked, std::int64_t channels) {
    const at::Tensor x = blocked.contiguous(at::MemoryFormat::ChannelsLast);
    const memory::dims sizes = {x.size(0) / blocks_of(channels), channels, x.size(2), x.size(3)};
    at::Tensor result = at::empty(sizes, at::kFloat, at::MemoryFormat::ChannelsLast);
    reorder({layout(sizes, memory::format_tag::nChw16c), engine_, data(x)},
            {layout(sizes, memory::format_tag::nhwc), engine_, data(result)});
    return result;
  }

  std::optional<at::Tensor> max_pool(const at::Tensor& given, const Window& w) {
    const at::Tensor x = given.contiguous(at::MemoryFormat::ChannelsLast);
    const auto input = blocks(x.size(0), x.size(2), x.size(3));
    std::vector<std::int64_t> key = input.dims();
    for (const auto* list : {&w.kernel, &w.strides, &w.begin, &w.end})
      key.insert(key.end(), list->begin(), list->end());
    const ByChannel* pool = remembered(by_channel_, key, [&] { return prepared_pool(engine_, input, w); });
    if (pool == nullptr) return std::nullopt;
    const auto& out = pool->output.dims();
    at::Tensor result = empty(out[0], out[1], out[2], out[3]);
    pool->primitive.execute(stream_, {{DNNL_ARG_SRC, {input, engine_, data(x)}},
                                      {DNNL_ARG_DST, {pool->output, engine_, data(result)}}});
    stream_.wait();
    return result;
  }

  void release_kernels() {
    kernels_.clear();
    places_.clear();
    bytes_ = 0;
  }

 private:
  struct Kernel {
    at::Tensor given;  // so that its address stays its own
    memory transformed;
  };
  using Kernels = std::list<Kernel>;  // the latest used first

  static at::Tensor empty(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
    return at::empty({n * blocks_of(c), kChannelBlock, h, w}, at::kFloat, at::MemoryFormat::ChannelsLast);
  }

  void reorder(memory from, memory to) {
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
  }

  /// What `make` makes for the key, the first time; nullptr where oneDNN has nothing of the kind.
  template <class Key, class Made, class Make>
  static const Made* remembered(std::map<Key, std::unique_ptr<Made>>& all, const Key& key, const Make& make) {
    const auto found = all.find(key);
    if (found != all.end()) return found->second.get();
    if (all.size() >= kMostShapes) all.clear();
    std::unique_ptr<Made> made;
    try {
      made = std::make_unique<Made>(make());
    } catch (const dnnl::error&) {
      made = nullptr;  // LibTorch computes it, or says what is wrong with it
    }
    return all.emplace(key, std::move(made)).first->second.get();
  }

  memory transformed(const at::Tensor& weight, const Prepared& prepared) {
    const auto found = places_.find(weight.unsafeGetTensorImpl());
    if (found != places_.end() && found->second->transformed.get_desc() == prepared.own_kernel) {
      kernels_.splice(kernels_.begin(), kernels_, found->second);
      return kernels_.front().transformed;
    }
    if (found != places_.end()) forget(found->second);
    const at::Tensor given = weight.contiguous();  // the only layout that it transforms
    const memory to(prepared.own_kernel, engine_);
    reorder({prepared.given_kernel, engine_, data(given)}, to);
    kernels_.push_front({weight, to});
    places_[weight.unsafeGetTensorImpl()] = kernels_.begin();
    bytes_ += bytes_of(kernels_.front());
    while (bytes_ > limit_ && kernels_.size() > 1) forget(std::prev(kernels_.end()));
    return to;
  }

  static std::size_t bytes_of(const Kernel& kernel) {
    return kernel.transformed.get_desc().get_size() + kernel.given.nbytes();
  }

  void forget(Kernels::iterator kernel) {
    bytes_ -= bytes_of(*kernel);
    places_.erase(kernel->given.unsafeGetTensorImpl());
    kernels_.erase(kernel);
  }

  std::size_t limit_, bytes_ = 0;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::map<Shape, std::unique_ptr<Prepared>> prepared_;
  std::map<std::vector<std::int64_t>, std::unique_ptr<ByChannel>> by_channel_;
  Kernels kernels_;
  std::unordered_map<const void*, Kernels::iterator> places_;
};

bool BlockedKernels::exist() {
  static const bool result = [] {
    try {
      const Prepared some({dnnl::engine::kind::cpu, 0}, {1, kFewestChannels, kFewestChannels, 64, 64, 1, 1});
      return true;
    } catch (const dnnl::error&) {
      return false;
    }
  }();
  return result;
}

std::optional<at::Tensor> BlockedKernels::convolution(const at::Tensor& input, const at::Tensor& weight,
                                                      const at::Tensor& bias, std::int64_t pad, bool relu) {
  const auto blocks = blocks_of(weight.size(1));
  const bool pays = weight.size(1) >= kFewestChannels && weight.size(0) >= kFewestChannels &&
                    input.size(0) / blocks * input.size(2) * input.size(3) >= kFewestPixels;
  // What doesn't fit is LibTorch's to complain of.
  const bool fits = is_blocked(input) && pad >= 0 && std::min(input.size(2), input.size(3)) + 2 * pad >= 3 &&
                    input.size(0) % blocks == 0 &&
                    (!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)));
  const bool floats =
      weight.scalar_type() == at::kFloat && (!bias.defined() || bias.scalar_type() == at::kFloat);
  if (!pays || !fits || !floats) return std::nullopt;
  return engine_->convolution(input, weight, bias, pad, relu);
}

at::Tensor BlockedKernels::blocked(const at::Tensor& plain) {
  return engine_->blocked(plain);
}

at::Tensor BlockedKernels::unblocked(const at::Tensor& blocked, std::int64_t channels) {
  return engine_->unblocked(blocked, channels);
}

std::optional<at::Tensor> BlockedKernels::max_pool(const at::Tensor& x, const Window& w) {
  if (!is_blocked(x) || w.kernel.size() != 2) return std::nullopt;
  for (std::size_t a = 0; a < 2; ++a) {
    const bool sees_pixels = w.begin[a] < w.kernel[a] && w.end[a] < w.kernel[a];  // wherever it lies
    if (w.dilations[a] != 1 || !sees_pixels) return std::nullopt;
  }
  return engine_->max_pool(x, w);
}

void BlockedKernels::release_kernels() {
  engine_->release_kernels();
}

}  // namespace quboprune

#else

namespace quboprune {

class BlockedKernels::Engine {
 public:
  explicit Engine(std::size_t) {}
};

bool BlockedKernels::exist() {
  return false;
}

std::optional<at::Tensor> BlockedKernels::convolution(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                      std::int64_t, bool) {
  return std::nullopt;
}

at::Tensor BlockedKernels::blocked(const at::Tensor& plain) {
  return quboprune::blocked(plain);
}

at::Tensor BlockedKernels::unblocked(const at::Tensor& blocked, std::int64_t channels) {
  return quboprune::unblocked(blocked, channels);
}

std::optional<at::Tensor> BlockedKernels::max_pool(const at::Tensor&, const Window&) {
  return std::nullopt;
}

void BlockedKernels::release_kernels() {}

}  // namespace quboprune

#endif

namespace quboprune {

BlockedKernels::BlockedKernels(std::size_t bytes) : engine_(std::make_unique<Engine>(bytes)) {}
BlockedKernels::~BlockedKernels() = default;

}  // namespace quboprune
