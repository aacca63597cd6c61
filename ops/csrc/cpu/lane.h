// Channels as SIMD vectors, in the width of the instruction set that this file is compiled for.
#pragma once

#include <cstring>

#include "../common/host_device.h"

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

// COUNT vectors: COUNT * kVectorSize channels.
template <class A, int COUNT>
struct VectorLane {
  using Vector = typename VectorOf<A, kVectorBytes>::Type;
  using Unaligned = typename VectorOf<A, kVectorBytes>::Unaligned;
  static constexpr int kChannels = COUNT * kVectorSize<A>;
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
      lane.v[k] = *reinterpret_cast<const Unaligned*>(data + k * kVectorSize<A>);
    }
    return lane;
  }
  SAPA_HD void store(A* data) const {
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) {
      *reinterpret_cast<Unaligned*>(data + k * kVectorSize<A>) = v[k];
    }
  }
  SAPA_HD void add(A factor, const VectorLane& other) {
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) v[k] += factor * other.v[k];
  }
  SAPA_HD void add(const VectorLane& a, const VectorLane& b) {
    SAPA_UNROLL
    for (int k = 0; k < COUNT; ++k) v[k] += a.v[k] * b.v[k];
  }
  SAPA_HD A total() const {
    Vector sum = v[0];
    SAPA_UNROLL
    for (int k = 1; k < COUNT; ++k) sum += v[k];
    return total_of<A, kVectorBytes>(sum);
  }
};

// A single channel, for those that are left after the vectors.
template <class A>
struct ScalarLane {
  static constexpr int kChannels = 1;
  A v;

  SAPA_HD static ScalarLane zero() { return {A(0)}; }
  SAPA_HD static ScalarLane load(const A* data) { return {*data}; }
  SAPA_HD void store(A* data) const { *data = v; }
  SAPA_HD void add(A factor, const ScalarLane& other) { v += factor * other.v; }
  SAPA_HD void add(const ScalarLane& a, const ScalarLane& b) { v += a.v * b.v; }
  SAPA_HD A total() const { return v; }
};

// Calls body(lane type, first channel) for all channels, in the widest lanes that fit.
template <class A, int COUNT, class Body>
SAPA_HD void for_each_lane(int64_t channels, const Body& body, int64_t begin = 0) {
  using Lane = VectorLane<A, COUNT>;
  int64_t c = begin;
  for (; c + Lane::kChannels <= channels; c += Lane::kChannels) body(Lane{}, c);
  if constexpr (COUNT > 1) {
    for_each_lane<A, COUNT / 2>(channels, body, c);
  } else {
    for (; c < channels; ++c) body(ScalarLane<A>{}, c);
  }
}

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
