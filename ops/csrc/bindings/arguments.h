// Makes kernel arguments of tensors, with the checks that memory safety needs. (Those with messages
// for users are in sapa_ops/checks.py.)
#pragma once

#include <ATen/ATen.h>

#include "../common/arguments.h"

namespace sapa {

inline Dtype dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kDouble: return Dtype::kFloat64;
    case at::kFloat: return Dtype::kFloat32;
    case at::kHalf: return Dtype::kFloat16;
    case at::kBFloat16: return Dtype::kBFloat16;
    default: TORCH_CHECK_TYPE(false, "sapa_ops: no kernel for ", tensor.scalar_type());
  }
}

// channels_last if the channels lie side by side. sapa_ops/compiled.py has the same rule.
inline at::MemoryFormat layout_of(const at::Tensor& map) {
  const bool side_by_side = map.size(1) > 1 && map.stride(1) == 1 && map.stride(3) >= map.size(1);
  return side_by_side ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

inline at::Tensor empty_map(const at::Tensor& like, int64_t channels, int64_t height, int64_t width,
                            at::MemoryFormat layout) {
  return at::empty({like.size(0), channels, height, width}, like.options().memory_format(layout));
}

// A (N, G*C, Y, X) tensor, or (N, G, S, Y, X) where it has a dimension for the groups.
inline Map map_of(const at::Tensor& t, int64_t groups) {
  if (t.dim() == 5) {
    return {t.data_ptr(), dtype_of(t), t.stride(0), t.stride(1),
            t.stride(2),  t.stride(3), t.stride(4)};
  }
  return {t.data_ptr(), dtype_of(t), t.stride(0), t.size(1) / groups * t.stride(1),
          t.stride(1),  t.stride(2), t.stride(3)};
}

inline void check_shape(const char* name, const at::Tensor& tensor, at::IntArrayRef shape,
                        const at::Tensor& like) {
  TORCH_CHECK_VALUE(tensor.sizes() == shape, "sapa_ops: ", name, " must have shape ", shape,
                    ", got ", tensor.sizes());
  TORCH_CHECK_VALUE(tensor.device() == like.device(), "sapa_ops: ", name, " is on ",
                    tensor.device(), ", others on ", like.device());
  TORCH_CHECK_TYPE(tensor.scalar_type() == like.scalar_type(), "sapa_ops: ", name, " is ",
                   tensor.scalar_type(), ", others are ", like.scalar_type());
}

inline void check_dims(const char* name, const at::Tensor& tensor, int64_t dims) {
  TORCH_CHECK_VALUE(tensor.dim() == dims, "sapa_ops: ", name, " must have ", dims,
                    " dimensions, got ", tensor.sizes());
}

inline void check_sizes(int64_t h, int64_t w, int64_t high_h, int64_t high_w, int64_t channels,
                        int64_t groups) {
  TORCH_CHECK_VALUE(h >= 1 && w >= 1 && high_h >= h && high_w >= w,
                    "sapa_ops: the high-res map must be at least as large as the low-res one, got ",
                    high_h, " x ", high_w, " over ", h, " x ", w);
  TORCH_CHECK_VALUE(groups >= 1 && channels >= 1 && channels % groups == 0, "sapa_ops: ", channels,
                    " channels do not split into groups=", groups);
}

// Channels of the weight. The bounds keep the product in 64 bits.
inline int64_t window_channels(int64_t kernel_size, int64_t groups) {
  constexpr int64_t kMaxKernelSize = 1 << 15, kMaxGroups = int64_t{1} << 31;
  TORCH_CHECK_VALUE(kernel_size >= 1 && kernel_size < kMaxKernelSize && kernel_size % 2 == 1,
                    "sapa_ops: kernel_size must be positive, odd and below ", kMaxKernelSize,
                    ", got ", kernel_size);
  TORCH_CHECK_VALUE(groups >= 1 && groups < kMaxGroups,
                    "sapa_ops: groups must be positive and divide the channels, got ", groups);
  return groups * kernel_size * kernel_size;
}

inline WindowArguments window_arguments(const at::Tensor& weight, const at::Tensor& low,
                                        const at::Tensor& high, int64_t kernel_size,
                                        int64_t groups) {
  check_dims("weight", weight, 4);
  check_dims("low", low, 4);
  check_dims("high", high, 4);
  const int64_t n = low.size(0), c = low.size(1), h = high.size(2), w = high.size(3);
  check_sizes(low.size(2), low.size(3), h, w, c, groups);
  check_shape("high", high, {n, c, h, w}, low);
  check_shape("weight", weight, {n, window_channels(kernel_size, groups), h, w}, low);
  return {n,
          groups,
          c / groups,
          kernel_size,
          {low.size(2), h},
          {low.size(3), w},
          map_of(weight, groups),
          map_of(low, groups),
          map_of(high, groups)};
}

inline PointArguments point_arguments(const at::Tensor& weight, const at::Tensor& low,
                                      const at::Tensor& high, const at::Tensor& offset) {
  check_dims("weight", weight, 5);
  check_dims("low", low, 4);
  check_dims("high", high, 4);
  const int64_t n = low.size(0), c = low.size(1), h = high.size(2), w = high.size(3);
  const int64_t groups = weight.size(1), points = weight.size(2);
  check_sizes(low.size(2), low.size(3), h, w, c, groups);
  TORCH_CHECK_VALUE(points >= 1, "sapa_ops: there must be a point or more for every group");
  check_shape("high", high, {n, c, h, w}, low);
  check_shape("weight", weight, {n, groups, points, h, w}, low);
  check_shape("offset", offset, {n, groups * points * 2, h, w}, low);
  return {n,
          groups,
          c / groups,
          points,
          {low.size(2), h},
          {low.size(3), w},
          map_of(weight, groups),
          map_of(low, groups),
          map_of(high, groups),
          map_of(offset, groups),
          {},
          {}};
}

}  // namespace sapa
