#include "random_network.h"

#include <cmath>
#include <initializer_list>
#include <string>
#include <vector>

#include "quboprune/random.h"

namespace quboprune {
namespace {

using Ints = std::vector<std::int64_t>;

/// A feature map: its name, channels, height (as wide as high).
struct Map {
  std::string name;
  int channels = 0, size = 0;
};

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : rng_(seed) {
    model_.set_ir_version(7);
    model_.add_opset_import()->set_version(13);
    graph_ = model_.mutable_graph();
    graph_->set_name("random");
    declare(graph_->add_input(), "x", {-1, 3, 8, 8});
  }

  onnx::ModelProto make() {
    maps_.push_back(conv({"x", 3, 8}, pick({4, 6, 8, 12})));
    const std::uint32_t steps = 4 + rng_.below(8);
    for (std::uint32_t k = 0; k < steps; ++k) step();
    head(maps_.back());
    if (rng_.below(3) == 0) head(any());
    return std::move(model_);
  }

 private:
  template <class T>
  T pick(std::initializer_list<T> list) {
    return *(list.begin() + rng_.below(static_cast<std::uint32_t>(list.size())));
  }
  const Map& any() { return maps_[rng_.below(static_cast<std::uint32_t>(maps_.size()))]; }

  static void declare(onnx::ValueInfoProto* info, const std::string& name, const Ints& shape) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    for (auto d : shape) {
      auto* dim = type->mutable_shape()->add_dim();
      if (d < 0) {
        dim->set_dim_param("n");
      } else {
        dim->set_dim_value(d);
      }
    }
  }

  std::string weight(const Ints& shape, double spread, double centre = 0) {
    auto* tensor = graph_->add_initializer();
    tensor->set_name("w" + std::to_string(next_++));
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    std::int64_t count = 1;
    for (auto d : shape) {
      tensor->add_dims(d);
      count *= d;
    }
    for (std::int64_t i = 0; i < count; ++i)
      tensor->add_float_data(static_cast<float>(centre + spread * (2 * rng_.uniform() - 1)));
    return tensor->name();
  }

  std::string integers(const Ints& values) {
    auto* tensor = graph_->add_initializer();
    tensor->set_name("i" + std::to_string(next_++));
    tensor->set_data_type(onnx::TensorProto::INT64);
    tensor->add_dims(static_cast<std::int64_t>(values.size()));
    for (auto v : values) tensor->add_int64_data(v);
    return tensor->name();
  }

  onnx::NodeProto* node(const std::string& op, const std::vector<std::string>& inputs, int outputs = 1) {
    auto* result = graph_->add_node();
    result->set_op_type(op);
    result->set_name(op + "_" + std::to_string(next_));
    for (const auto& name : inputs) result->add_input(name);
    for (int k = 0; k < outputs; ++k) result->add_output("t" + std::to_string(next_++));
    return result;
  }
  static onnx::NodeProto* with(onnx::NodeProto* n, const std::string& name, const Ints& values) {
    auto* a = n->add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::INTS);
    for (auto v : values) a->add_ints(v);
    return n;
  }
  static onnx::NodeProto* with(onnx::NodeProto* n, const std::string& name, std::int64_t value) {
    auto* a = n->add_attribute();
    a->set_name(name);
    a->set_type(onnx::AttributeProto::INT);
    a->set_i(value);
    return n;
  }
  std::string op(const std::string& type, const std::vector<std::string>& inputs) {
    return node(type, inputs)->output(0);
  }

  Map conv(const Map& x, int out, int kernel = 3, int groups = 1, int stride = 1) {
    const int each = x.channels / groups;
    const double spread = std::sqrt(3.0 / (each * kernel * kernel));
    std::vector<std::string> inputs{x.name, weight({out, each, kernel, kernel}, spread)};
    if (rng_.below(2) == 0) inputs.push_back(weight({out}, 0.2));
    auto* n = with(with(node("Conv", inputs), "pads", Ints(4, kernel / 2)), "group", groups);
    with(n, "strides", {stride, stride});
    return {n->output(0), out, (x.size + stride - 1) / stride};
  }

  Map transposed(const Map& x, int out, int groups) {
    const std::string w = weight({x.channels, out / groups, 2, 2}, std::sqrt(3.0 / x.channels));
    auto* n = with(with(node("ConvTranspose", {x.name, w}), "strides", {2, 2}), "group", groups);
    return {n->output(0), out, x.size * 2};
  }

  Map activation(const Map& x) {
    const std::string type =
        pick<const char*>({"Relu", "Sigmoid", "LeakyRelu", "Softplus", "Tanh", "PRelu", "BN"});
    if (type == "PRelu") return {op(type, {x.name, weight({x.channels, 1, 1}, 0.3)}), x.channels, x.size};
    if (type == "BN") {
      const Ints shape{x.channels};
      return {op("BatchNormalization", {x.name, weight(shape, 0.3, 1), weight(shape, 0.3), weight(shape, 0.2),
                                        weight(shape, 0.3, 1)}),
              x.channels, x.size};
    }
    return {op(type, {x.name}), x.channels, x.size};
  }

  /// Another map of the same shape, if there is one.
  const Map* twin(const Map& x) {
    for (int tries = 0; tries < 6; ++tries) {
      const Map& other = any();
      if (other.channels == x.channels && other.size == x.size && other.name != x.name) return &other;
    }
    return nullptr;
  }

  Map joined(const Map& x) {
    const Map* other = twin(x);
    if (other)
      return {op(pick<const char*>({"Add", "Mul", "Sub", "Max"}), {x.name, other->name}), x.channels, x.size};
    return {op("Add", {x.name, conv(x, x.channels).name}), x.channels, x.size};
  }

  Map concatenated(const Map& x) {
    for (int tries = 0; tries < 6; ++tries) {
      const Map& other = any();
      if (other.size != x.size || other.channels + x.channels > 32) continue;
      return {with(node("Concat", {x.name, other.name}), "axis", 1)->output(0), x.channels + other.channels,
              x.size};
    }
    return activation(x);
  }

  Map split(const Map& x) {
    const int first = 1 + static_cast<int>(rng_.below(static_cast<std::uint32_t>(x.channels - 1)));
    auto* n = with(node("Split", {x.name, integers({first, x.channels - first})}, 2), "axis", 1);
    const Map a{n->output(0), first, x.size};
    const Map b{n->output(1), x.channels - first, x.size};
    const Map changed = rng_.below(2) == 0 ? conv(a, a.channels) : activation(a);
    return {with(node("Concat", {b.name, changed.name}), "axis", 1)->output(0), x.channels, x.size};
  }

  Map excited(const Map& x) {
    const Map pooled{op("GlobalAveragePool", {x.name}), x.channels, 1};
    const Map narrow{op("Relu", {conv(pooled, 4, 1).name}), 4, 1};
    const std::string scale = op("Sigmoid", {conv(narrow, x.channels, 1).name});
    return {op("Mul", {x.name, scale}), x.channels, x.size};
  }

  Map shuffled(const Map& x) {
    const int g = x.channels % 2 == 0 ? 2 : 3;
    if (x.channels % g != 0) return activation(x);
    const std::string parts =
        op("Reshape", {x.name, integers({rng_.below(2) == 0 ? 0 : -1, g, x.channels / g, x.size, x.size})});
    const std::string moved = with(node("Transpose", {parts}), "perm", {0, 2, 1, 3, 4})->output(0);
    if (rng_.below(2) == 0) {  // the shape taken from the map itself
      return {op("Reshape", {moved, op("Shape", {x.name})}), x.channels, x.size};
    }
    return {op("Reshape", {moved, integers({-1, x.channels, x.size, x.size})}), x.channels, x.size};
  }

  Map pixels(const Map& x) {
    if (x.channels % 4 == 0 && x.channels >= 8 && x.size <= 8 && rng_.below(2) == 0) {
      auto* n = with(node("DepthToSpace", {x.name}), "blocksize", 2);
      auto* mode = n->add_attribute();
      mode->set_name("mode");
      mode->set_type(onnx::AttributeProto::STRING);
      mode->set_s(rng_.below(2) == 0 ? "DCR" : "CRD");
      return {n->output(0), x.channels / 4, x.size * 2};
    }
    if (x.size % 2 != 0 || x.channels > 8) return activation(x);
    return {with(node("SpaceToDepth", {x.name}), "blocksize", 2)->output(0), x.channels * 4, x.size / 2};
  }

  Map selected(const Map& x) {
    const auto kind = rng_.below(5);
    const int half = std::max(1, x.channels / 2);
    if (kind == 0) {
      return {op("Slice", {x.name, integers({half - 1}), integers({x.channels}), integers({1})}),
              x.channels - half + 1, x.size};
    }
    if (kind == 1) return {op("Pad", {x.name, integers({0, 1, 0, 0, 0, 2, 0, 0})}), x.channels + 3, x.size};
    if (kind == 2) {
      Ints order;
      for (int c = x.channels; c-- > 0;) order.push_back(c);
      order.push_back(0);
      return {with(node("Gather", {x.name, integers(order)}), "axis", 1)->output(0), x.channels + 1, x.size};
    }
    if (kind == 3 && x.channels <= 12)
      return {op("Tile", {x.name, integers({1, 2, 1, 1})}), x.channels * 2, x.size};
    return {op("Mul", {x.name, weight({1, x.channels, 1, 1}, 1)}), x.channels, x.size};
  }

  Map frozen(const Map& x) {
    const auto kind = rng_.below(4);
    if (kind == 0) return {with(node("Softmax", {x.name}), "axis", 1)->output(0), x.channels, x.size};
    if (kind == 1)
      return {
          op("Sub",
             {x.name, with(with(node("ReduceMean", {x.name}), "axes", Ints{1}), "keepdims", 1)->output(0)}),
          x.channels, x.size};
    if (kind == 2) {
      return {op("Mul", {x.name, with(node("ReduceSum", {x.name, integers({1})}), "keepdims", 1)->output(0)}),
              x.channels, x.size};
    }
    // Scaled by the number of its own channels.
    const std::string size = op("Gather", {op("Shape", {x.name}), integers({1})});
    const std::string real = with(node("Cast", {size}), "to", onnx::TensorProto::FLOAT)->output(0);
    return {op("Div", {x.name, op("Sqrt", {real})}), x.channels, x.size};
  }

  /// Self-attention over positions with two heads, as exporters write it.
  Map attention(const Map& x) {
    if (x.size > 8) return activation(x);
    const int heads = 2;
    const int width = 4 * heads;
    const int positions = x.size * x.size;
    const std::string rows = op("Reshape", {x.name, integers({0, x.channels, positions})});
    const std::string tokens = with(node("Transpose", {rows}), "perm", {0, 2, 1})->output(0);
    const auto part = [&](const Ints& order) {
      const std::string y = op("MatMul", {tokens, weight({x.channels, width}, std::sqrt(3.0 / x.channels))});
      const std::string biased = op("Add", {y, weight({width}, 0.2)});
      const std::string split = op("Reshape", {biased, integers({0, positions, heads, width / heads})});
      return with(node("Transpose", {split}), "perm", order)->output(0);
    };
    const std::string scores = op("MatMul", {part({0, 2, 1, 3}), part({0, 2, 3, 1})});
    const std::string weights =
        with(node("Softmax", {op("Mul", {scores, weight({1}, 0, 0.5)})}), "axis", 3)->output(0);
    const std::string mixed = op("MatMul", {weights, part({0, 2, 1, 3})});
    const std::string back = with(node("Transpose", {mixed}), "perm", {0, 2, 1, 3})->output(0);
    const std::string flat = op("Reshape", {back, integers({0, positions, width})});
    const std::string out = op("MatMul", {flat, weight({width, x.channels}, std::sqrt(3.0 / width))});
    const std::string columns =
        with(node("Transpose", {op("Add", {tokens, out})}), "perm", {0, 2, 1})->output(0);
    return {op("Reshape", {columns, integers({0, x.channels, x.size, x.size})}), x.channels, x.size};
  }

  Map convolved(const Map& x) {
    switch (rng_.below(6)) {
      case 0:
        return conv(x, x.channels, 3, x.channels);
      case 1:
        return x.channels <= 12 ? conv(x, x.channels * 2, 3, x.channels) : conv(x, 8, 1);
      case 2:
        return x.channels % 2 == 0 ? conv(x, pick({4, 8, 12}), 3, 2) : conv(x, 6);
      case 3:
        return x.size >= 4 ? conv(x, pick({4, 8}), 3, 1, 2) : conv(x, 6);
      case 4:
        if (x.size > 8) return conv(x, 4);
        return x.channels % 2 == 0 ? transposed(x, pick({4, 8}), pick({1, 2})) : transposed(x, 5, 1);
      default:
        return conv(x, pick({2, 5, 8, 10}), pick({1, 3}));
    }
  }

  void step() {
    const Map x = rng_.below(3) == 0 ? any() : maps_.back();
    Map y;
    switch (rng_.below(12)) {
      case 0:
        y = joined(x);
        break;
      case 1:
        y = concatenated(x);
        break;
      case 2:
        y = x.channels > 1 ? split(x) : conv(x, 4);
        break;
      case 3:
        y = excited(x);
        break;
      case 4:
        y = shuffled(x);
        break;
      case 5:
        y = pixels(x);
        break;
      case 6:
        y = selected(x);
        break;
      case 7:
        y = rng_.below(2) == 0 ? frozen(x) : attention(x);
        break;
      case 8:
        y = activation(x);
        break;
      default:
        y = convolved(x);
    }
    maps_.push_back(y);
  }

  void head(const Map& x) {
    std::string y;
    Ints shape;
    if (rng_.below(2) == 0) {
      y = conv(x, 3, 1).name;
      shape = {-1, 3, x.size, x.size};
    } else {
      const bool pooled = rng_.below(2) == 0;
      const std::string map = pooled ? op("GlobalAveragePool", {x.name}) : x.name;
      const std::string flat = with(node("Flatten", {map}), "axis", 1)->output(0);
      const int features = pooled ? x.channels : x.channels * x.size * x.size;
      y = with(node("Gemm", {flat, weight({5, features}, std::sqrt(3.0 / features)), weight({5}, 0.2)}),
               "transB", 1)
              ->output(0);
      shape = {-1, 5};
    }
    declare(graph_->add_output(), y, shape);
  }

  Rng rng_;
  onnx::ModelProto model_;
  onnx::GraphProto* graph_ = nullptr;
  std::vector<Map> maps_;
  int next_ = 0;
};

}  // namespace

onnx::ModelProto random_network(std::uint64_t seed) {
  return Generator(seed).make();
}

}  // namespace quboprune
