// The channels of one thread: a 16-byte load where the memory layout allows.
#pragma once

#include "../common/arguments.h"

namespace sapa {
namespace cuda {

// Channels that fit into 16 bytes.
template <class T>
constexpr int kPack = 16 / static_cast<int>(sizeof(T));

// A thread's sum over its channels.
template <class A>
struct Sum {
  A v;

  template <class Lane>
  SAPA_HD void add(const Lane& a, const Lane& b) {
    SAPA_UNROLL
    for (int k = 0; k < Lane::kChannels; ++k) v += a.v[k] * b.v[k];
  }
};

template <class A, int CHANNELS>
struct Pack {
  static constexpr int kChannels = CHANNELS;
  A v[CHANNELS];

  SAPA_HD static Pack zero() {
    Pack pack;
    SAPA_UNROLL
    for (int k = 0; k < CHANNELS; ++k) pack.v[k] = A(0);
    return pack;
  }
  SAPA_HD void add(A factor, const Pack& other) {
    SAPA_UNROLL
    for (int k = 0; k < CHANNELS; ++k) v[k] += factor * other.v[k];
  }
};

template <class T>
struct alignas(16) Raw {
  T v[kPack<T>];
};

// How a thread reads and writes its channels: VECTOR, as 16 aligned bytes; else one by one.
template <class T, bool VECTOR>
struct Channels {
  using A = Accumulator<T>;
  using Lane = Pack<A, kPack<T>>;

  // No more than `channels` are left from here; those beyond are 0.
  SAPA_HD static Lane load(const void* data, int64_t offset, int64_t stride, int64_t channels) {
    const T* from = static_cast<const T*>(data) + offset;
    Lane lane;
    if (VECTOR) {
      const Raw<T> raw = *reinterpret_cast<const Raw<T>*>(from);
      SAPA_UNROLL
      for (int k = 0; k < kPack<T>; ++k) lane.v[k] = widen(raw.v[k]);
    } else {
      SAPA_UNROLL
      for (int k = 0; k < kPack<T>; ++k) lane.v[k] = k < channels ? widen(from[k * stride]) : A(0);
    }
    return lane;
  }

  SAPA_HD static void store(const Lane& lane, void* data, int64_t offset, int64_t stride,
                            int64_t channels) {
    T* to = static_cast<T*>(data) + offset;
    if (VECTOR) {
      Raw<T> raw;
      SAPA_UNROLL
      for (int k = 0; k < kPack<T>; ++k) raw.v[k] = Narrow<T>::from(lane.v[k]);
      *reinterpret_cast<Raw<T>*>(to) = raw;
    } else {
      SAPA_UNROLL
      for (int k = 0; k < kPack<T>; ++k) {
        if (k < channels) to[k * stride] = Narrow<T>::from(lane.v[k]);
      }
    }
  }
};

template <class T>
SAPA_HD Accumulator<T> load_one(const Map& map, int64_t offset) {
  return widen(static_cast<const T*>(map.data)[offset]);
}

template <class T>
SAPA_HD void store_one(const Map& map, int64_t offset, Accumulator<T> value) {
  static_cast<T*>(map.data)[offset] = Narrow<T>::from(value);
}

// To a map that may also be of the accumulator's type.
template <class T>
SAPA_HD void store_score(const Map& map, int64_t offset, Accumulator<T> value) {
  if (map.dtype == Number<T>::kDtype) {
    store_one<T>(map, offset, value);
  } else {
    store_one<Accumulator<T>>(map, offset, value);
  }
}

// Whether 16 bytes of channels can be read at once everywhere in a map.
template <class T>
bool is_vector(const Map& map, int64_t channels) {
  auto fits = [](int64_t elements) { return elements % kPack<T> == 0; };
  return map.stride_c == 1 && fits(channels) && fits(map.stride_n) && fits(map.stride_g) &&
         fits(map.stride_y) && fits(map.stride_x) &&
         reinterpret_cast<uintptr_t>(map.data) % 16 == 0;
}

template <class T>
int64_t lanes(int64_t channels) {
  return (channels + kPack<T> - 1) / kPack<T>;
}

// The part of the output that thread `index` computes. Neighbouring threads take neighbouring
// channels where those lie side by side in memory, else neighbouring columns.
struct Position {
  int64_t n;
  int64_t g;
  int64_t lane;
  int64_t y;
  int64_t x;

  SAPA_HD Position(int64_t index, bool lanes_first, int64_t groups, int64_t lane_count,
                   int64_t height, int64_t width) {
    if (lanes_first) {
      lane = take(index, lane_count);
      g = take(index, groups);
      x = take(index, width);
      y = take(index, height);
    } else {
      x = take(index, width);
      y = take(index, height);
      lane = take(index, lane_count);
      g = take(index, groups);
    }
    n = index;
  }

 private:
  SAPA_HD static int64_t take(int64_t& index, int64_t size) {
    const int64_t whole = quotient(index, size);
    const int64_t rest = index - whole * size;
    index = whole;
    return rest;
  }
};

}  // namespace cuda
}  // namespace sapa
