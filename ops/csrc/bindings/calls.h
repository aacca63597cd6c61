// The operators through the dispatcher, for the layers above the kernels.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <tuple>

namespace sapa {
namespace calls {

using at::Tensor;
using c10::SymInt;

template <class Signature>
auto find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

inline Tensor window_similarity(const Tensor& query, const Tensor& key, int64_t kernel_size,
                                int64_t groups) {
  static auto op =
      find<Tensor(const Tensor&, const Tensor&, int64_t, int64_t)>("sapa_ops::window_similarity");
  return op.call(query, key, kernel_size, groups);
}

inline Tensor window_assemble(const Tensor& weight, const Tensor& value, int64_t kernel_size,
                              int64_t groups) {
  static auto op =
      find<Tensor(const Tensor&, const Tensor&, int64_t, int64_t)>("sapa_ops::window_assemble");
  return op.call(weight, value, kernel_size, groups);
}

inline Tensor window_assemble_backward_value(const Tensor& weight, const Tensor& high,
                                             SymInt height, SymInt width, int64_t kernel_size,
                                             int64_t groups) {
  static auto op = find<Tensor(const Tensor&, const Tensor&, SymInt, SymInt, int64_t, int64_t)>(
      "sapa_ops::window_assemble_backward_value");
  return op.call(weight, high, std::move(height), std::move(width), kernel_size, groups);
}

inline Tensor point_similarity(const Tensor& query, const Tensor& key, const Tensor& offset,
                               int64_t groups) {
  static auto op = find<Tensor(const Tensor&, const Tensor&, const Tensor&, int64_t)>(
      "sapa_ops::point_similarity");
  return op.call(query, key, offset, groups);
}

inline Tensor point_assemble(const Tensor& weight, const Tensor& value, const Tensor& offset) {
  static auto op =
      find<Tensor(const Tensor&, const Tensor&, const Tensor&)>("sapa_ops::point_assemble");
  return op.call(weight, value, offset);
}

inline Tensor point_assemble_backward_value(const Tensor& weight, const Tensor& high,
                                            const Tensor& offset, SymInt height, SymInt width) {
  static auto op = find<Tensor(const Tensor&, const Tensor&, const Tensor&, SymInt, SymInt)>(
      "sapa_ops::point_assemble_backward_value");
  return op.call(weight, high, offset, std::move(height), std::move(width));
}

inline std::tuple<Tensor, Tensor> point_assemble_backward_weight_offset(const Tensor& weight,
                                                                        const Tensor& high,
                                                                        const Tensor& low,
                                                                        const Tensor& offset) {
  static auto op =
      find<std::tuple<Tensor, Tensor>(const Tensor&, const Tensor&, const Tensor&, const Tensor&)>(
          "sapa_ops::point_assemble_backward_weight_offset");
  return op.call(weight, high, low, offset);
}

}  // namespace calls
}  // namespace sapa
