// The operators on tensors, for any set of kernels: they allocate the result and run the kernel.
// Schemas and shapes are in sapa_ops/schemas.py, what is above the kernels in sapa_ops/library.py.
#pragma once

#include <torch/csrc/stable/library.h>

#include <tuple>

#include "arguments.h"

namespace sapa {

// For kernels whose threads add to the same pixels: add(arguments) adds to zeros of the
// accumulator's type.
template <class Add>
void add_up(PointArguments a, Tensor low, const Add& add) {
  Tensor sum = widened(low);
  torch::stable::zero_(sum);
  a.low = map_of(sum, a.groups);
  add(a);
  if (sum.get() != low.get()) torch::stable::copy_(low, sum);
}

// For kernels that leave softmax to another: score(arguments) writes the similarity, in the
// accumulator's type where softmax(arguments) follows.
template <class Arguments, class Score, class Softmax>
void normalize(Arguments a, const Tensor& weight, const Score& score, const Softmax& softmax) {
  if (!a.softmax) return score(a);
  const Tensor scores = widened(weight);
  const SoftmaxArguments s{
      a.batch,  a.groups, weight.dim() == 5 ? weight.size(2) : weight.size(1) / a.groups,
      a.y.high, a.x.high, map_of(scores, a.groups),
      a.weight};
  a.weight = s.scores;
  score(a);
  softmax(s);
}

template <class Kernels>
struct Operators {
  // Contiguous: taps and points as planes.
  static Tensor window_similarity(const Tensor& query, const Tensor& key, int64_t kernel_size,
                                  int64_t groups, bool softmax, StringHandle border_name) {
    const Border border = border_of(border_name);
    check_dims("query", query, 4);
    auto weight = empty_map(query, window_channels(kernel_size, groups), query.size(2),
                            query.size(3), Layout::kContiguous);
    const auto a = window_arguments(weight, key, query, kernel_size, groups, border, softmax);
    if (a.batch > 0) Kernels::window_similarity(a, weight);
    return weight;
  }

  static Tensor window_assemble(const Tensor& weight, const Tensor& value, int64_t kernel_size,
                                int64_t groups, StringHandle border_name) {
    const Border border = border_of(border_name);
    check_dims("weight", weight, 4);
    check_dims("value", value, 4);
    auto high = empty_map(value, value.size(1), weight.size(2), weight.size(3), layout_of(value));
    const auto a = window_arguments(weight, value, high, kernel_size, groups, border);
    if (a.batch > 0) Kernels::window_assemble(a, value);
    return high;
  }

  static Tensor window_adjoint(const Tensor& weight, const Tensor& high, int64_t height,
                               int64_t width, int64_t kernel_size, int64_t groups,
                               StringHandle border_name) {
    const Border border = border_of(border_name);
    check_dims("high", high, 4);
    check_sizes(height, width, high.size(2), high.size(3), high.size(1), groups);
    auto low = empty_map(high, high.size(1), height, width, layout_of(high));
    const auto a = window_arguments(weight, low, high, kernel_size, groups, border);
    if (a.batch > 0) Kernels::window_adjoint(a, high);
    return low;
  }

  static Tensor point_similarity(const Tensor& query, const Tensor& key, const Tensor& offset,
                                 int64_t groups, bool softmax) {
    check_dims("query", query, 4);
    check_dims("offset", offset, 4);
    check(groups >= 1 && groups <= offset.size(1) / 2, "groups must be in 1..", offset.size(1) / 2,
          ", got ", groups);
    const int64_t sizes[] = {query.size(0), groups, offset.size(1) / (2 * groups), query.size(2),
                             query.size(3)};
    auto weight = empty({sizes, 5}, {4, 3, 2, 1, 0}, query);
    const auto a = point_arguments(weight, key, query, offset, softmax);
    if (a.batch > 0) Kernels::point_similarity(a, weight);
    return weight;
  }

  static Tensor point_assemble(const Tensor& weight, const Tensor& value, const Tensor& offset) {
    check_dims("weight", weight, 5);
    check_dims("value", value, 4);
    auto high = empty_map(value, value.size(1), weight.size(3), weight.size(4), layout_of(value));
    const auto a = point_arguments(weight, value, high, offset);
    if (a.batch > 0) Kernels::point_assemble(a, value);
    return high;
  }

  static Tensor point_adjoint(const Tensor& weight, const Tensor& high, const Tensor& offset,
                              int64_t height, int64_t width) {
    check_dims("high", high, 4);
    check_sizes(height, width, high.size(2), high.size(3), high.size(1), 1);
    auto low = empty_map(high, high.size(1), height, width, layout_of(high));
    const auto a = point_arguments(weight, low, high, offset);
    if (a.batch > 0) Kernels::point_adjoint(a, low);
    return low;
  }

  static std::tuple<Tensor, Tensor> point_gradients(const Tensor& weight, const Tensor& high,
                                                    const Tensor& low, const Tensor& offset) {
    auto a = point_arguments(weight, low, high, offset);
    auto weight_grad = empty(weight.sizes(), {4, 3, 2, 1, 0}, weight);
    auto offset_grad =
        empty_map(offset, offset.size(1), offset.size(2), offset.size(3), layout_of(offset));
    a.weight_grad = map_of(weight_grad, a.groups);
    a.offset_grad = map_of(offset_grad, a.groups);
    if (a.batch > 0) Kernels::point_gradients(a, low);
    return {weight_grad, offset_grad};
  }

  // For STABLE_TORCH_LIBRARY_IMPL.
  template <class Library>
  static void implement(Library& m) {
    m.impl("window_similarity", TORCH_BOX(&window_similarity));
    m.impl("window_assemble", TORCH_BOX(&window_assemble));
    m.impl("window_adjoint", TORCH_BOX(&window_adjoint));
    m.impl("point_similarity", TORCH_BOX(&point_similarity));
    m.impl("point_assemble", TORCH_BOX(&point_assemble));
    m.impl("point_adjoint", TORCH_BOX(&point_adjoint));
    m.impl("point_gradients", TORCH_BOX(&point_gradients));
  }
};

}  // namespace sapa
