// Softmax over the taps or points of a position.
#pragma once

#include "numbers.h"

namespace sapa {

// What exp_of needs of a type: its bits, and ln(2) in two parts, of which the first has trailing
// zeros so that small multiples of it are exact.
template <class A>
struct Binary;

template <>
struct Binary<float> {
  using Bits = uint32_t;
  static constexpr int kMantissa = 23, kBias = 127, kTerms = 7;
  static constexpr float kLn2 = 0.693359375f, kLn2Rest = -2.12194440e-4f;
};

template <>
struct Binary<double> {
  using Bits = uint64_t;
  static constexpr int kMantissa = 52, kBias = 1023, kTerms = 13;
  static constexpr double kLn2 = 0.693145751953125, kLn2Rest = 1.42860682030941723e-6;
};

// exp(x) for x <= 0 or NaN, as 2^n e^r with |r| <= ln(2) / 2, of which the Taylor series ends soon;
// 0 where it would be subnormal. A V is an A, or a vector of them, and Bits the same of integers.
template <class A, class V, class Bits>
SAPA_HD V exp_of(V x) {
  using B = Binary<A>;
  constexpr A kLn2 = B::kLn2 + B::kLn2Rest;
  constexpr A kShift = A(3ull << (B::kMantissa - 1));  // added, it leaves n in the last bits
  x = larger(V{} - B::kBias * kLn2, x);                // n = -kBias, which makes 0 of 2^n
  const V shifted = x * (1 / kLn2) + kShift;
  const V n = shifted - kShift;
  const V r = x - n * B::kLn2 - n * B::kLn2Rest;
  V series = V{} + A(1);
  SAPA_UNROLL
  for (int k = B::kTerms; k > 0; --k) series = series * (r * (A(1) / k)) + A(1);
  return series * bit_cast<V>((bit_cast<Bits>(shifted) + B::kBias) << B::kMantissa);
}

// Softmax over `count` scores: load(c) is one, or those of several positions. Before write(c,
// weight), keep(c, V) must replace them. A NaN or +inf makes all weights of its position NaN, and
// so do scores of -inf alone.
template <class A, class V, class Bits, class Load, class Keep, class Write>
SAPA_HD void softmax(int64_t count, const Load& load, const Keep& keep, const Write& write) {
  V highest = load(0);
  for (int64_t c = 1; c < count; ++c) highest = larger(load(c), highest);
  V sum = V{};
  for (int64_t c = 0; c < count; ++c) {
    const V term = exp_of<A, V, Bits>(load(c) - highest);
    keep(c, term);
    sum += term;
  }
  for (int64_t c = 0; c < count; ++c) write(c, load(c) / sum);
}

}  // namespace sapa
