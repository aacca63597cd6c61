// Code that both the host's compiler and nvcc read.
#pragma once

#include <cstdint>
#include <type_traits>

#ifdef __CUDACC__
#define SAPA_HD __host__ __device__ __forceinline__
#else
#define SAPA_HD inline __attribute__((always_inline))
#endif

// Before a loop of constant length whose variables are to live in registers.
#if defined(__CUDA_ARCH__) || defined(__clang__)
#define SAPA_UNROLL _Pragma("unroll")
#elif defined(__CUDACC__)  // the host's half of a CUDA source
#define SAPA_UNROLL
#else
#define SAPA_UNROLL _Pragma("GCC unroll 16")
#endif

namespace sapa {

template <class T>
SAPA_HD constexpr T smaller(T a, T b) {
  return a < b ? a : b;
}

template <class T>
SAPA_HD constexpr T larger(T a, T b) {
  return a > b ? a : b;
}

// A number as a type, for lambdas.
template <int VALUE>
using Constant = std::integral_constant<int, VALUE>;

}  // namespace sapa
