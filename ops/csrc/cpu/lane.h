// Channels as SIMD vectors, in the width of the instruction set that this file is compiled for.
#pragma once

#include <cstring>
#include <type_traits>
#include <utility>

#include "../common/numbers.h"

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SAPA_SHUFFLE __builtin_shufflevector
#endif
#endif

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

constexpr int kVectorBytes = SAPA_CPU_VECTOR_BYTES;

template <class A>
constexpr int kVectorSize = kVectorBytes / static_cast<int>(sizeof(A));

template <class A, int BYTES>
struct VectorOf {
  typedef A Type __attribute__((vector_size(BYTES)));
  // The same in memory, wherever it lies.
  typedef A Unaligned __attribute__((vector_size(BYTES), aligned(sizeof(A)), may_alias));
};

// A vector in memory, wherever it lies.
template <class Vector, class T>
SAPA_HD Vector load_as(const T* data) {
  Vector v;
  memcpy(&v, data, sizeof(v));
  return v;
}
template <class Vector, class T>
SAPA_HD void store_as(T* data, Vector v) {
  memcpy(data, &v, sizeof(v));
}

// The sum over a vector, by halves.
template <class A, int BYTES>
SAPA_HD A total_of(typename VectorOf<A, BYTES>::Type v) {
  if constexpr (BYTES == sizeof(A)) {
    return v[0];
  } else {
    typename VectorOf<A, BYTES / 2>::Type half[2];
    memcpy(half, &v, BYTES);
    return total_of<A, BYTES / 2>(half[0] + half[1]);
  }
}

#ifdef SAPA_SHUFFLE
// Half the elements of a, then half of b, in every GROUP: each the sum of neighbours at a distance
// of BLOCK.
template <class A, int BLOCK, int GROUP, class Vector, int... I>
SAPA_HD Vector add_neighbours(Vector a, Vector b, std::integer_sequence<int, I...>) {
  constexpr auto first = [](int i) {
    const int own = i % (GROUP / 2);
    const int from = i % GROUP < GROUP / 2 ? 0 : kVectorSize<A>;
    return from + i / GROUP * GROUP + own / BLOCK * 2 * BLOCK + own % BLOCK;
  };
  return SAPA_SHUFFLE(a, b, first(I)...) + SAPA_SHUFFLE(a, b, first(I) + BLOCK...);
}
#endif

// The sums over several vectors, as many as one has elements: the first element is that of the
// first vector. The first steps stay within 16 bytes. (COUNT: half of the vectors that are left.)
template <class A, int COUNT = kVectorSize<A> / 2, class Vector>
SAPA_HD Vector totals_of(const Vector* v) {
#ifdef SAPA_SHUFFLE
  if constexpr (COUNT == 0) {
    return v[0];
  } else {
    constexpr int kPart = 16 / static_cast<int>(sizeof(A));
    constexpr bool kWithinPart = COUNT * kPart >= kVectorSize<A>;
    constexpr int kBlock = kWithinPart ? 1 : kPart;
    constexpr int kGroup = kWithinPart ? kPart : kVectorSize<A>;
    constexpr auto kIndices = std::make_integer_sequence<int, kVectorSize<A>>{};
    Vector sum[COUNT];
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) {
      sum[k] = add_neighbours<A, kBlock, kGroup>(v[2 * k], v[2 * k + 1], kIndices);
    }
    return totals_of<A, COUNT / 2>(sum);
  }
#else
  Vector totals;
  for (int k = 0; k < kVectorSize<A>; ++k) totals[k] = total_of<A, kVectorBytes>(v[k]);
  return totals;
#endif
}

// The bitwise and of a vector's 64-bit elements.
template <int BYTES, class Vector>
SAPA_HD int64_t and_of(Vector v) {
  if constexpr (BYTES == 8) {
    return bit_cast<int64_t>(v);
  } else {
    typename VectorOf<int64_t, BYTES / 2>::Type half[2];
    memcpy(half, &v, BYTES);
    return and_of<BYTES / 2>(half[0] & half[1]);
  }
}

// Channels: COUNT vectors of BYTES.
template <class A, int COUNT, int BYTES = kVectorBytes>
struct VectorLane {
  using Vector = typename VectorOf<A, BYTES>::Type;
  using Unaligned = typename VectorOf<A, BYTES>::Unaligned;
  static constexpr int kSize = BYTES / static_cast<int>(sizeof(A));
  static constexpr int kChannels = COUNT * kSize;
  Vector v[COUNT];

  SAPA_HD static VectorLane zero() {
    VectorLane lane;
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) lane.v[k] = Vector{};
    return lane;
  }
  SAPA_HD static VectorLane load(const A* data) {
    VectorLane lane;
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) {
      lane.v[k] = *reinterpret_cast<const Unaligned*>(data + k * kSize);
    }
    return lane;
  }
  SAPA_HD void store(A* data) const {
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) *reinterpret_cast<Unaligned*>(data + k * kSize) = v[k];
  }
  SAPA_HD void add(A factor, const VectorLane& other) {
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) v[k] += factor * other.v[k];
  }
};

// A vector of BYTES with zeros after it. (Through memory, the processor waits for it.)
template <class A, int BYTES, int... I>
SAPA_HD auto padded(typename VectorOf<A, BYTES>::Type v, std::integer_sequence<int, I...>) {
  if constexpr (BYTES == kVectorBytes) {
    return v;
  } else {
#ifdef SAPA_SHUFFLE
    const auto twice = SAPA_SHUFFLE(v, decltype(v){}, I...);
#else
    typename VectorOf<A, 2 * BYTES>::Type twice{};
    memcpy(&twice, &v, BYTES);
#endif
    return padded<A, 2 * BYTES>(twice, std::make_integer_sequence<int, 2 * sizeof...(I)>{});
  }
}

// An inner product over lanes, as a vector whose elements are to be added up.
template <class A>
struct Dot {
  using Vector = typename VectorOf<A, kVectorBytes>::Type;
  Vector parts;

  template <int COUNT, int BYTES>
  SAPA_HD void add(const VectorLane<A, COUNT, BYTES>& a, const VectorLane<A, COUNT, BYTES>& b) {
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) {
      constexpr auto kTwice = std::make_integer_sequence<int, 2 * BYTES / sizeof(A)>{};
      parts += padded<A, BYTES>(a.v[k] * b.v[k], kTwice);
    }
  }
};

// Numbers for common/point.h: one for each of several points.
template <class A>
struct Simd {
  using Value = typename VectorOf<A, kVectorBytes>::Type;
  using Mask = decltype(Value{} < Value{});
  using Index = Mask;
  using Integer = std::conditional_t<sizeof(A) == 8, int64_t, int32_t>;

  SAPA_HD static Index broadcast(int64_t index) { return Index{} + static_cast<Integer>(index); }
  SAPA_HD static bool all(Mask mask) { return and_of<kVectorBytes>(mask) == -1; }
  SAPA_HD static Value value(Index index) { return __builtin_convertvector(index, Value); }
  SAPA_HD static Value floor(Value x) {
    const Value whole = value(index(x));
    return whole > x ? whole - 1 : whole;
  }
  SAPA_HD static Index index(Value whole) { return __builtin_convertvector(whole, Index); }
};

// Calls body(lane type, first channel) for all channels, in the widest lanes that fit: of 16 bytes
// and more, or at last of a single channel.
template <class A, int COUNT, int BYTES = kVectorBytes, class Body>
SAPA_HD void for_each_lane(int64_t channels, const Body& body, int64_t begin = 0) {
  using Lane = VectorLane<A, COUNT, BYTES>;
  int64_t c = begin;
  for (; c + Lane::kChannels <= channels; c += Lane::kChannels) body(Lane{}, c);
  if constexpr (COUNT > 1) {
    for_each_lane<A, COUNT / 2, BYTES>(channels, body, c);
  } else if constexpr (BYTES > 16) {
    for_each_lane<A, 1, BYTES / 2>(channels, body, c);
  } else if constexpr (BYTES > sizeof(A)) {
    for_each_lane<A, 1, sizeof(A)>(channels, body, c);
  }
}

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
