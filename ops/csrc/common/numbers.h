// Storage types, and the type that each is computed in.
#pragma once

#include <cstring>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include "host_device.h"

namespace sapa {

enum class Dtype : int32_t { kFloat64, kFloat32, kFloat16, kBFloat16 };

struct Half {
  uint16_t bits;
};

struct BFloat16 {
  uint16_t bits;
};

template <class T>
struct Number;

template <>
struct Number<double> {
  using Accumulator = double;
  static constexpr Dtype kDtype = Dtype::kFloat64;
};

template <>
struct Number<float> {
  using Accumulator = float;
  static constexpr Dtype kDtype = Dtype::kFloat32;
};

template <>
struct Number<Half> {
  using Accumulator = float;
  static constexpr Dtype kDtype = Dtype::kFloat16;
};

template <>
struct Number<BFloat16> {
  using Accumulator = float;
  static constexpr Dtype kDtype = Dtype::kBFloat16;
};

template <class T>
using Accumulator = typename Number<T>::Accumulator;

template <class To, class From>
SAPA_HD To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

SAPA_HD double widen(double x) { return x; }
SAPA_HD float widen(float x) { return x; }
SAPA_HD float widen(BFloat16 x) { return bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

SAPA_HD float widen(Half x) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(x.bits));
#else
  // Exponent and mantissa moved into place, then scaled by the difference of the biases, which also
  // serves subnormals. Infinities and NaN need the largest exponent.
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000) << 16;
  const uint32_t rest = static_cast<uint32_t>(x.bits & 0x7fff) << 13;
  const float finite = bit_cast<float>(rest) * 0x1p112f;
  const uint32_t bits = rest >= 0x0f800000 ? rest | 0x7f800000 : bit_cast<uint32_t>(finite);
  return bit_cast<float>(sign | bits);
#endif
}

template <class T>
struct Narrow;

template <>
struct Narrow<double> {
  SAPA_HD static double from(double x) { return x; }
};

template <>
struct Narrow<float> {
  SAPA_HD static float from(float x) { return x; }
};

// Round to nearest, ties to even.
template <>
struct Narrow<BFloat16> {
  SAPA_HD static BFloat16 from(float x) {
    const uint32_t bits = bit_cast<uint32_t>(x);
    const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
    return {static_cast<uint16_t>(x == x ? rounded >> 16 : 0x7fc0)};
  }
};

template <>
struct Narrow<Half> {
  SAPA_HD static Half from(float x) {
#ifdef __CUDA_ARCH__
    return {__half_as_ushort(__float2half_rn(x))};
#else
    const uint32_t bits = bit_cast<uint32_t>(x);
    const uint32_t sign = (bits >> 16) & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffff;
    uint32_t half;
    if (magnitude >= 0x47800000) {  // 65536 and above, infinities, NaN
      half = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
    } else if (magnitude < 0x38800000) {  // subnormal: adding 0.5 lets the addition round
      half = bit_cast<uint32_t>(bit_cast<float>(magnitude) + 0.5f) - bit_cast<uint32_t>(0.5f);
    } else {  // the carry of the rounding may reach the exponent, up to infinity
      half = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    }
    return {static_cast<uint16_t>(sign | half)};
#endif
  }
};

}  // namespace sapa
