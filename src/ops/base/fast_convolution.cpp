#include "ops/base/fast_convolution.h"

#include <ATen/Functions.h>

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

using Shape = std::array<std::int64_t, 6>;  // N, C, K, H, W, pad

/// A convolution of one shape with what brings its operands into its own layouts and back.
struct Prepared {
  Prepared(const dnnl::engine& engine, const Shape& shape) {
    const auto [n, c, k, h, w, pad] = shape;
    const memory::dims input = {n, c, h, w}, kernel = {k, c, 3, 3},
                       output = {n, k, h + 2 * pad - 2, w + 2 * pad - 2};
    const auto plain = [](const memory::dims& dims, memory::format_tag layout) {
      return memory::desc(dims, memory::data_type::f32, layout);
    };
    const auto any = [&](const memory::dims& dims) { return plain(dims, memory::format_tag::any); };
    const dnnl::convolution_forward::desc wanted(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_winograd, any(input), any(kernel),
        plain({k}, memory::format_tag::x), any(output), {1, 1}, {pad, pad}, {pad, pad});
    const dnnl::convolution_forward::primitive_desc description(wanted, engine);
    convolution = dnnl::convolution_forward(description);
    given_input = plain(input, memory::format_tag::nhwc);
    given_kernel = plain(kernel, memory::format_tag::oihw);
    given_output = plain(output, memory::format_tag::nhwc);
    bias = plain({k}, memory::format_tag::x);
    own_input = description.src_desc();
    own_output = description.dst_desc();
    own_kernel = description.weights_desc();
    take_input = dnnl::reorder({engine, given_input, engine, own_input});
    give_output = dnnl::reorder({engine, own_output, engine, given_output});
  }

  dnnl::convolution_forward convolution;
  dnnl::reorder take_input, give_output;
  memory::desc given_input, given_kernel, given_output, bias, own_input, own_kernel, own_output;
};

float* data(const at::Tensor& tensor) {
  return static_cast<float*>(tensor.data_ptr());
}

}  // namespace

class FastConvolutions::Engine {
 public:
  explicit Engine(std::size_t bytes) : limit_(bytes) {}

  std::optional<at::Tensor> run(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                                std::int64_t pad) {
    Prepared* prepared =
        prepared_for({input.size(0), input.size(1), weight.size(0), input.size(2), input.size(3), pad});
    if (prepared == nullptr) return std::nullopt;
    const at::Tensor x = input.contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor b = bias.defined() ? bias.contiguous() : at::zeros({weight.size(0)}, at::kFloat);
    const auto& sizes = prepared->given_output.dims();
    at::Tensor result = at::empty(sizes, input.options(), at::MemoryFormat::ChannelsLast);
    memory from(prepared->given_input, engine_, data(x)), to(prepared->given_output, engine_, data(result));
    memory in = scratch(input_, prepared->own_input), out = scratch(output_, prepared->own_output);
    prepared->take_input.execute(stream_, from, in);
    prepared->convolution.execute(stream_, {{DNNL_ARG_SRC, in},
                                            {DNNL_ARG_WEIGHTS, transformed(weight, *prepared)},
                                            {DNNL_ARG_BIAS, memory(prepared->bias, engine_, data(b))},
                                            {DNNL_ARG_DST, out}});
    prepared->give_output.execute(stream_, out, to);
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

  /// Memory that convolutions of all shapes use in turn.
  memory scratch(at::Tensor& buffer, const memory::desc& layout) {
    const auto bytes = static_cast<std::int64_t>(layout.get_size());
    if (!buffer.defined() || buffer.numel() < bytes) buffer = at::empty({bytes}, at::kByte);
    return {layout, engine_, buffer.data_ptr()};
  }

  /// nullptr where oneDNN has no such convolution.
  Prepared* prepared_for(const Shape& shape) {
    const auto found = prepared_.find(shape);
    if (found != prepared_.end()) return found->second.get();
    if (prepared_.size() >= kMostShapes) prepared_.clear();
    std::unique_ptr<Prepared> made;
    try {
      made = std::make_unique<Prepared>(engine_, shape);
    } catch (const dnnl::error&) {
      made = nullptr;  // LibTorch computes it, or says what is wrong with it
    }
    return prepared_.emplace(shape, std::move(made)).first->second.get();
  }

  memory transformed(const at::Tensor& weight, const Prepared& prepared) {
    const auto found = places_.find(weight.unsafeGetTensorImpl());
    if (found != places_.end() && found->second->transformed.get_desc() == prepared.own_kernel) {
      kernels_.splice(kernels_.begin(), kernels_, found->second);
      return kernels_.front().transformed;
    }
    if (found != places_.end()) forget(found->second);
    const at::Tensor given = weight.contiguous();  // the only layout that it transforms
    memory from(prepared.given_kernel, engine_, data(given)), to(prepared.own_kernel, engine_);
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
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
  at::Tensor input_, output_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::map<Shape, std::unique_ptr<Prepared>> prepared_;
  Kernels kernels_;
  std::unordered_map<const void*, Kernels::iterator> places_;
};

std::optional<at::Tensor> FastConvolutions::run(const at::Tensor& input, const at::Tensor& weight,
                                                const at::Tensor& bias, std::int64_t pad) {
  const bool pays = weight.size(1) >= kFewestChannels && weight.size(0) >= kFewestChannels &&
                    input.size(0) * input.size(2) * input.size(3) >= kFewestPixels;
  // What doesn't fit is LibTorch's to complain of.
  const bool fits = pad >= 0 && std::min(input.size(2), input.size(3)) + 2 * pad >= 3 &&
                    input.size(1) == weight.size(1) &&
                    (!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)));
  const bool floats = input.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat &&
                      (!bias.defined() || bias.scalar_type() == at::kFloat);
  if (!pays || !fits || !floats) return std::nullopt;
  return engine_->run(input, weight, bias, pad);
}

void FastConvolutions::release_kernels() {
  engine_->release_kernels();
}

}  // namespace quboprune

#else

namespace quboprune {

class FastConvolutions::Engine {
 public:
  explicit Engine(std::size_t) {}
};

std::optional<at::Tensor> FastConvolutions::run(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                std::int64_t) {
  return std::nullopt;
}

void FastConvolutions::release_kernels() {}

}  // namespace quboprune

#endif

namespace quboprune {

FastConvolutions::FastConvolutions(std::size_t bytes) : engine_(std::make_unique<Engine>(bytes)) {}
FastConvolutions::~FastConvolutions() = default;

}  // namespace quboprune
