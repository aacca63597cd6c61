// Makes kernel arguments of tensors, with the checks that memory safety needs. (Those with messages
// for users are in sapa_ops/checks.py.) All of torch is reached through its stable ABI.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <initializer_list>
#include <stdexcept>
#include <string>

#include "../common/arguments.h"

namespace sapa {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Sizes = torch::headeronly::IntHeaderOnlyArrayRef;

inline std::string text(const char* part) { return part; }
inline std::string text(int64_t number) { return std::to_string(number); }
inline std::string text(ScalarType type) { return torch::headeronly::toString(type); }
// There are kernels for these two.
inline std::string text(const torch::stable::Device& device) {
  return device.is_cpu() ? "cpu" : "cuda:" + std::to_string(device.index());
}
inline std::string text(Sizes sizes) {
  std::string list;
  for (int64_t size : sizes) list += (list.empty() ? "" : ", ") + std::to_string(size);
  return "[" + list + "]";
}

// Raises RuntimeError. STD_TORCH_CHECK would put the place in these sources before the message.
template <class... Parts>
void check(bool holds, const Parts&... parts) {
  if (__builtin_expect(holds, 1)) return;
  throw std::runtime_error(("sapa_ops: " + ... + text(parts)));
}

inline Dtype dtype_of(const Tensor& tensor) {
  const ScalarType type = tensor.scalar_type();
  switch (type) {
    case ScalarType::Double: return Dtype::kFloat64;
    case ScalarType::Float: return Dtype::kFloat32;
    case ScalarType::Half: return Dtype::kFloat16;
    case ScalarType::BFloat16: return Dtype::kBFloat16;
    default: check(false, "no kernel for ", type); return {};
  }
}

// An uninitialised tensor, on the device of another.
inline Tensor empty_strided(Sizes sizes, const int64_t* strides, ScalarType type,
                            const Tensor& like) {
  const auto code = [](auto value) {
    return torch::stable::detail::to<int32_t>(torch::stable::detail::from(value));
  };
  const auto device = like.device();
  AtenTensorHandle handle;
  const bool allocated =
      aoti_torch_empty_strided(sizes.size(), sizes.data(), strides, code(type), code(device.type()),
                               device.index(), &handle) == TORCH_SUCCESS;
  // In words that tools look for; the stable ABI does not pass on torch's own.
  check(allocated, device.is_cuda() ? "CUDA out of memory" : "out of memory",
        " for a result of shape ", sizes);
  return Tensor(handle);
}

// Its dimensions lie in memory in the order given, from the innermost.
inline Tensor empty(Sizes sizes, std::initializer_list<int> order, const Tensor& like) {
  int64_t strides[5];
  int64_t count = 1;
  for (int dim : order) {
    strides[dim] = count;
    check(sizes[dim] >= 0 && !__builtin_mul_overflow(count, larger<int64_t>(sizes[dim], 1), &count),
          "there cannot be a tensor of shape ", sizes);
  }
  return empty_strided(sizes, strides, like.scalar_type(), like);
}

enum class Layout { kContiguous, kChannelsLast };

// channels_last if the channels lie side by side. sapa_ops/geometry.py has the same rule.
inline Layout layout_of(const Tensor& map) {
  const bool side_by_side = map.size(1) > 1 && map.stride(1) == 1 && map.stride(3) >= map.size(1);
  return side_by_side ? Layout::kChannelsLast : Layout::kContiguous;
}

inline Tensor empty_map(const Tensor& like, int64_t channels, int64_t height, int64_t width,
                        Layout layout) {
  const int64_t sizes[] = {like.size(0), channels, height, width};
  if (layout == Layout::kContiguous) return empty({sizes, 4}, {3, 2, 1, 0}, like);
  return empty({sizes, 4}, {1, 3, 2, 0}, like);
}

// A result of ours itself, or where it is in a half type, room for it in the accumulator's.
inline Tensor widened(const Tensor& result) {
  if (dtype_of(result) <= Dtype::kFloat32) return result;
  return empty_strided(result.sizes(), result.strides().data(), ScalarType::Float, result);
}

// A (N, G*C, Y, X) tensor, or (N, G, S, Y, X) where it has a dimension for the groups.
inline Map map_of(const Tensor& t, int64_t groups) {
  const Sizes stride = t.strides();
  if (t.dim() == 5) {
    return {t.data_ptr(), dtype_of(t), stride[0], stride[1], stride[2], stride[3], stride[4]};
  }
  return {t.data_ptr(), dtype_of(t), stride[0], t.size(1) / groups * stride[1],
          stride[1],    stride[2],   stride[3]};
}

inline void check_shape(const char* name, const Tensor& tensor,
                        std::initializer_list<int64_t> shape, const Tensor& like) {
  const Sizes wanted(shape);
  check(tensor.sizes().equals(wanted), name, " must have shape ", wanted, ", got ", tensor.sizes());
  check(tensor.device() == like.device(), name, " is on ", tensor.device(), ", others on ",
        like.device());
  check(tensor.scalar_type() == like.scalar_type(), name, " is ", tensor.scalar_type(),
        ", others are ", like.scalar_type());
}

inline void check_dims(const char* name, const Tensor& tensor, int64_t dims) {
  check(tensor.dim() == dims, name, " must have ", dims, " dimensions, got ", tensor.sizes());
}

inline void check_sizes(int64_t h, int64_t w, int64_t high_h, int64_t high_w, int64_t channels,
                        int64_t groups) {
  check(h >= 1 && w >= 1 && high_h >= h && high_w >= w,
        "the high-res map must be at least as large as the low-res one, got ", high_h, " x ",
        high_w, " over ", h, " x ", w);
  check(groups >= 1 && channels >= 1 && channels % groups == 0, channels,
        " channels do not split into groups=", groups);
}

// The border by its name, which this frees: so it comes before any check that throws. (torch's own
// conversion to a std::string never frees it, as of torch 2.13.)
inline Border border_of(StringHandle name) {
  const char* data = nullptr;
  TORCH_ERROR_CODE_CHECK(torch_string_c_str(name, &data));
  const std::string border = data;
  TORCH_ERROR_CODE_CHECK(torch_delete_string(name));
  if (border == "zeros") return Border::kZeros;
  if (border == "replicate") return Border::kReplicate;
  check(border == "shift", "border must be one of zeros, replicate, shift, got ", border.c_str());
  return Border::kShift;
}

// Channels of the weight. The bounds keep the product in 64 bits.
inline int64_t window_channels(int64_t kernel_size, int64_t groups) {
  constexpr int64_t kMaxKernelSize = 1 << 15, kMaxGroups = int64_t{1} << 31;
  check(kernel_size >= 1 && kernel_size < kMaxKernelSize && kernel_size % 2 == 1,
        "kernel_size must be positive, odd and below ", kMaxKernelSize, ", got ", kernel_size);
  check(groups >= 1 && groups < kMaxGroups, "groups must be positive and divide the channels, got ",
        groups);
  return groups * kernel_size * kernel_size;
}

inline WindowArguments window_arguments(const Tensor& weight, const Tensor& low, const Tensor& high,
                                        int64_t kernel_size, int64_t groups, Border border,
                                        bool softmax = false) {
  check_dims("weight", weight, 4);
  check_dims("low", low, 4);
  check_dims("high", high, 4);
  const int64_t n = low.size(0), c = low.size(1), h = high.size(2), w = high.size(3);
  check_sizes(low.size(2), low.size(3), h, w, c, groups);
  check_shape("high", high, {n, c, h, w}, low);
  check_shape("weight", weight, {n, window_channels(kernel_size, groups), h, w}, low);
  check(border != Border::kShift || (low.size(2) >= kernel_size && low.size(3) >= kernel_size),
        "border='shift' needs a low-res map no smaller than kernel_size=", kernel_size, ", got ",
        low.sizes());
  return {n,
          groups,
          c / groups,
          kernel_size,
          {low.size(2), h},
          {low.size(3), w},
          map_of(weight, groups),
          map_of(low, groups),
          map_of(high, groups),
          softmax,
          border};
}

inline PointArguments point_arguments(const Tensor& weight, const Tensor& low, const Tensor& high,
                                      const Tensor& offset, bool softmax = false) {
  check_dims("weight", weight, 5);
  check_dims("low", low, 4);
  check_dims("high", high, 4);
  const int64_t n = low.size(0), c = low.size(1), h = high.size(2), w = high.size(3);
  const int64_t groups = weight.size(1), points = weight.size(2);
  check_sizes(low.size(2), low.size(3), h, w, c, groups);
  check(points >= 1, "there must be a point or more for every group");
  constexpr int64_t kExact = int64_t{1} << 24;  // integers up to this are floats
  check(larger(low.size(2), low.size(3)) <= kExact || dtype_of(low) == Dtype::kFloat64,
        "points need a low-res map of at most ", kExact, " rows and columns, got ", low.sizes());
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
          {},
          softmax};
}

}  // namespace sapa
