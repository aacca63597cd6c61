// The operators on tensors, for any set of kernels: they allocate the result and run the kernel.
#pragma once

#include <tuple>

#include "arguments.h"

namespace sapa {

template <class Kernels>
struct Operators {
  // Contiguous: taps and points as planes, for the softmax over them that follows.
  static at::Tensor window_similarity(const at::Tensor& query, const at::Tensor& key,
                                      int64_t kernel_size, int64_t groups) {
    check_dims("query", query, 4);
    auto weight = empty_map(query, window_channels(kernel_size, groups), query.size(2),
                            query.size(3), at::MemoryFormat::Contiguous);
    const auto a = window_arguments(weight, key, query, kernel_size, groups);
    if (a.batch > 0) Kernels::window_similarity_forward(a, query);
    return weight;
  }

  static at::Tensor window_assemble(const at::Tensor& weight, const at::Tensor& value,
                                    int64_t kernel_size, int64_t groups) {
    check_dims("weight", weight, 4);
    check_dims("value", value, 4);
    auto high = empty_map(value, value.size(1), weight.size(2), weight.size(3), layout_of(value));
    const auto a = window_arguments(weight, value, high, kernel_size, groups);
    if (a.batch > 0) Kernels::window_assemble_forward(a, value);
    return high;
  }

  static at::Tensor window_assemble_backward_value(const at::Tensor& weight, const at::Tensor& high,
                                                   int64_t height, int64_t width,
                                                   int64_t kernel_size, int64_t groups) {
    check_dims("high", high, 4);
    auto low = empty_map(high, high.size(1), height, width, layout_of(high));
    const auto a = window_arguments(weight, low, high, kernel_size, groups);
    if (a.batch > 0) Kernels::window_assemble_backward_value(a, high);
    return low;
  }

  static at::Tensor point_similarity(const at::Tensor& query, const at::Tensor& key,
                                     const at::Tensor& offset, int64_t groups) {
    check_dims("query", query, 4);
    check_dims("offset", offset, 4);
    TORCH_CHECK_VALUE(groups >= 1 && groups <= offset.size(1) / 2,
                      "sapa_ops: groups must be in 1..", offset.size(1) / 2, ", got ", groups);
    auto weight = at::empty(
        {query.size(0), groups, offset.size(1) / (2 * groups), query.size(2), query.size(3)},
        query.options());
    const auto a = point_arguments(weight, key, query, offset);
    if (a.batch > 0) Kernels::point_similarity_forward(a, query);
    return weight;
  }

  static at::Tensor point_assemble(const at::Tensor& weight, const at::Tensor& value,
                                   const at::Tensor& offset) {
    check_dims("weight", weight, 5);
    check_dims("value", value, 4);
    auto high = empty_map(value, value.size(1), weight.size(3), weight.size(4), layout_of(value));
    const auto a = point_arguments(weight, value, high, offset);
    if (a.batch > 0) Kernels::point_assemble_forward(a, value);
    return high;
  }

  static at::Tensor point_assemble_backward_value(const at::Tensor& weight, const at::Tensor& high,
                                                  const at::Tensor& offset, int64_t height,
                                                  int64_t width) {
    check_dims("high", high, 4);
    auto low = empty_map(high, high.size(1), height, width, layout_of(high));
    const auto a = point_arguments(weight, low, high, offset);
    if (a.batch > 0) Kernels::point_assemble_backward_value(a, low);
    return low;
  }

  static std::tuple<at::Tensor, at::Tensor> point_assemble_backward_weight_offset(
      const at::Tensor& weight, const at::Tensor& high, const at::Tensor& low,
      const at::Tensor& offset) {
    auto a = point_arguments(weight, low, high, offset);
    auto weight_grad = at::empty(weight.sizes(), weight.options());
    auto offset_grad =
        empty_map(offset, offset.size(1), offset.size(2), offset.size(3), layout_of(offset));
    a.weight_grad = map_of(weight_grad, a.groups);
    a.offset_grad = map_of(offset_grad, a.groups);
    if (a.batch > 0) Kernels::point_assemble_backward_weight_offset(a, low);
    return {weight_grad, offset_grad};
  }

  // For TORCH_LIBRARY_IMPL.
  template <class Library>
  static void define(Library& m) {
    m.impl("window_similarity", window_similarity);
    m.impl("window_assemble", window_assemble);
    m.impl("window_assemble_backward_value", window_assemble_backward_value);
    m.impl("point_similarity", point_similarity);
    m.impl("point_assemble", point_assemble);
    m.impl("point_assemble_backward_value", point_assemble_backward_value);
    m.impl("point_assemble_backward_weight_offset", point_assemble_backward_weight_offset);
  }
};

}  // namespace sapa
