// NonMaxSuppression: ends a detector; all that reaches it is frozen.

#include <ATen/Functions.h>

#include <algorithm>
#include <array>

#include "ops/base/operator.h"
#include "ops/base/patterns.h"
#include "quboprune/error.h"

namespace quboprune {
namespace {

using Box = std::array<double, 4>;  // lowest and highest of one coordinate, then of the other

Box box_of(const at::TensorAccessor<double, 1>& b, bool centred) {
  if (centred) return {b[1] - b[3] / 2, b[1] + b[3] / 2, b[0] - b[2] / 2, b[0] + b[2] / 2};
  return {std::min(b[0], b[2]), std::max(b[0], b[2]), std::min(b[1], b[3]), std::max(b[1], b[3])};
}

double area(const Box& b) {
  return (b[1] - b[0]) * (b[3] - b[2]);
}

double overlap(const Box& a, const Box& b) {
  const double y = std::max(0.0, std::min(a[1], b[1]) - std::max(a[0], b[0]));
  const double x = std::max(0.0, std::min(a[3], b[3]) - std::max(a[2], b[2]));
  const double both = area(a) + area(b) - x * y;
  return both > 0 ? x * y / both : 0;
}

double scalar(const Tensors& in, std::size_t k, double otherwise) {
  return k < in.size() && in[k].defined() && in[k].numel() > 0 ? in[k].reshape(-1)[0].item<double>()
                                                               : otherwise;
}

class NonMaxSuppression final : public Operator {
 public:
  Tensors run(const Node& node, const Tensors& in, const RunMode&) const override {
    const at::Tensor boxes = in.at(0).to(at::kDouble).contiguous();
    const at::Tensor scores = in.at(1).to(at::kDouble).contiguous();
    if (boxes.dim() != 3 || scores.dim() != 3 || boxes.size(2) != 4 || boxes.size(1) != scores.size(2) ||
        boxes.size(0) != scores.size(0))
      throw InputError(node.title() + ": boxes and scores don't fit each other");
    const auto b = boxes.accessor<double, 3>();
    const auto s = scores.accessor<double, 3>();
    const auto most = static_cast<std::size_t>(std::max(0.0, scalar(in, 2, 0)));
    std::vector<std::int64_t> rows;
    for (std::int64_t n = 0; n < scores.size(0); ++n) {
      std::vector<Box> all;
      for (std::int64_t i = 0; i < boxes.size(1); ++i)
        all.push_back(box_of(b[n][i], node.integer("center_point_box", 0) != 0));
      for (std::int64_t c = 0; c < scores.size(1); ++c) {
        for (auto i : select(all, s[n][c], most, scalar(in, 3, 0), scalar(in, 4, -INFINITY)))
          rows.insert(rows.end(), {n, c, i});
      }
    }
    return {integer_tensor(rows).view({-1, 3})};
  }

 private:
  static std::vector<std::int64_t> select(const std::vector<Box>& boxes,
                                          const at::TensorAccessor<double, 1>& scores, std::size_t most,
                                          double threshold, double lowest) {
    std::vector<std::int64_t> order;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(boxes.size()); ++i) {
      if (scores[i] > lowest) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) { return scores[i] > scores[j]; });
    std::vector<std::int64_t> kept;
    for (auto i : order) {
      if (kept.size() >= most) break;
      const bool covered = std::any_of(kept.begin(), kept.end(), [&](auto k) {
        return overlap(boxes[static_cast<std::size_t>(k)], boxes[static_cast<std::size_t>(i)]) > threshold;
      });
      if (!covered) kept.push_back(i);
    }
    return kept;
  }
};

}  // namespace

void make_nms(OperatorTable& table) {
  table.add("NonMaxSuppression", std::make_shared<NonMaxSuppression>());
}

}  // namespace quboprune
