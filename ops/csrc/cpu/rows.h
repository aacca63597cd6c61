// Rows of a map in the form that the kernels work on: the computing type, channels side by side. A
// map that lies in memory like that is used in place; any other passes through a buffer of a few
// rows.
#pragma once

#include <type_traits>

#include "../common/arguments.h"
#include "../common/softmax.h"
#include "transpose.h"

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

// Memory for a few rows. (The linker may merge what a std::vector compiles to for one instruction
// set with that for another; what lies in this namespace stays apart.)
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t size) : data_(new T[size]) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { delete[] data_; }

  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }
  T* data() { return data_; }
  const T* data() const { return data_; }

 private:
  T* data_;
};

// Part of a map: channels [channel, channel + channels) of group g of sample n, width columns.
struct Part {
  const Map& map;
  int64_t n;
  int64_t g;
  int64_t channel;
  int64_t channels;
  int64_t width;

  template <class A>
  bool in_place() const {
    return map.dtype == Number<A>::kDtype && (map.stride_c == 1 || channels == 1);
  }
  int64_t row(int64_t y) const { return map.offset(n, g, channel, y, 0); }
};

// Columns that are transposed at a time: one cache line of floats. The next line of each channel is
// prefetched meanwhile: the processor itself does not keep track of so many channels.
constexpr int64_t kTile = 16;

// Calls element(x, c), or where the map allows it block(x, c) for 8 x 8 of them, for a whole row.
template <class T, class A, class Block, class Element, class Prefetch>
SAPA_HD void for_each_tile(const Part& part, const Block& block, const Element& element,
                           const Prefetch& prefetch) {
  constexpr bool both_float = std::is_same_v<T, float> && std::is_same_v<A, float>;
  for (int64_t x0 = 0; x0 < part.width; x0 += kTile) {
    const int64_t x1 = smaller(x0 + kTile, part.width);
    int64_t c = 0;
    if (both_float && part.map.stride_x == 1 && x1 - x0 == kTile) {
      for (; c + kTransposed <= part.channels; c += kTransposed) {
        for (int64_t k = c; k < c + kTransposed; ++k) prefetch(x1, k);
        for (int64_t x = x0; x < x1; x += kTransposed) block(x, c);
      }
    }
    for (; c < part.channels; ++c) {
      prefetch(x1, c);
      for (int64_t x = x0; x < x1; ++x) element(x, c);
    }
  }
}

// Copies a row of any map to memory with its channels side by side.
template <class T, class A>
void read_row(const Part& part, int64_t y, A* to) {
  const T* map = static_cast<const T*>(part.map.data) + part.row(y);
  const int64_t channels = part.channels;
  auto at = [&](int64_t x, int64_t c) {
    return map + c * part.map.stride_c + x * part.map.stride_x;
  };
  for_each_tile<T, A>(
      part,
      [&](int64_t x, int64_t c) {
        if constexpr (std::is_same_v<T, float> && std::is_same_v<A, float>) {
          transpose_block(at(x, c), part.map.stride_c, to + x * channels + c, channels);
        }
      },
      [&](int64_t x, int64_t c) { to[x * channels + c] = static_cast<A>(widen(*at(x, c))); },
      [&](int64_t x, int64_t c) { __builtin_prefetch(at(x, c)); });
}

// The way back.
template <class T, class A>
void write_row(const Part& part, int64_t y, const A* from) {
  T* map = static_cast<T*>(part.map.data) + part.row(y);
  const int64_t channels = part.channels;
  auto at = [&](int64_t x, int64_t c) {
    return map + c * part.map.stride_c + x * part.map.stride_x;
  };
  for_each_tile<T, A>(
      part,
      [&](int64_t x, int64_t c) {
        if constexpr (std::is_same_v<T, float> && std::is_same_v<A, float>) {
          transpose_block(from + x * channels + c, channels, at(x, c), part.map.stride_c);
        }
      },
      [&](int64_t x, int64_t c) {
        *at(x, c) = Narrow<T>::from(static_cast<Accumulator<T>>(from[x * channels + c]));
      },
      [&](int64_t x, int64_t c) { __builtin_prefetch(at(x, c), 1); });
}

// The way back of a row of scores, with softmax over the channels: of a tile at a time, channel by
// channel, so that a vector has the same channel of several columns.
template <class T, class A>
void write_softmax_row(const Part& part, int64_t y, const A* from, int64_t from_stride) {
  constexpr bool is_float = std::is_same_v<A, float>;
  using Vector = typename VectorOf<A, kVectorBytes>::Type;
  using Bits = typename VectorOf<typename Binary<A>::Bits, kVectorBytes>::Type;
  T* map = static_cast<T*>(part.map.data) + part.row(y);
  Buffer<A> tile(part.channels * kTile);
  for (int64_t x0 = 0; x0 < part.width; x0 += kTile) {
    const int64_t columns = smaller(kTile, part.width - x0);
    const A* row = from + x0 * from_stride;
    int64_t c = 0;
    if constexpr (is_float) {
      for (; columns == kTile && c + kTransposed <= part.channels; c += kTransposed) {
        for (int64_t x = 0; x < kTile; x += kTransposed) {
          transpose_block(row + x * from_stride + c, from_stride, &tile[c * kTile + x], kTile);
        }
      }
    }
    for (; c < part.channels; ++c) {
      for (int64_t x = 0; x < kTile; ++x) {
        tile[c * kTile + x] = x < columns ? row[x * from_stride + c] : 0;
      }
    }
    for (int64_t x = 0; x < columns; x += kVectorSize<A>) {
      const auto load = [&](int64_t channel) {
        Vector v;
        memcpy(&v, &tile[channel * kTile + x], sizeof(v));
        return v;
      };
      const auto store = [&](int64_t channel, Vector v) {
        memcpy(&tile[channel * kTile + x], &v, sizeof(v));
      };
      softmax<A, Vector, Bits>(part.channels, load, store, store);
    }
    for (c = 0; c < part.channels; ++c) {
      T* to = map + c * part.map.stride_c + x0 * part.map.stride_x;
      __builtin_prefetch(to + kTile * part.map.stride_x, 1);
      for (int64_t x = 0; x < columns; ++x) {
        to[x * part.map.stride_x] =
            Narrow<T>::from(static_cast<Accumulator<T>>(tile[c * kTile + x]));
      }
    }
  }
}

// Calls body(T{}) with the storage type; float64 is computed in double, all others in float.
template <class A, class Body>
void with_storage(Dtype dtype, const Body& body) {
  if constexpr (sizeof(A) == sizeof(double)) {
    body(double{});
  } else {
    if (dtype == Dtype::kFloat32) body(float{});
    if (dtype == Dtype::kFloat16) body(Half{});
    if (dtype == Dtype::kBFloat16) body(BFloat16{});
  }
}

template <class A>
class Rows {
 public:
  // Holds the last `capacity` rows.
  Rows(const Part& part, int64_t capacity)
      : part_(part),
        capacity_(capacity),
        in_place_(part.in_place<A>()),
        stride_x_(in_place_ ? part.map.stride_x : part.channels),
        buffer_(in_place_ ? 0 : capacity * part.width * part.channels) {}

  // Moves on to other channels, at most as many as before, and forgets what has been read.
  void select(int64_t channel, int64_t channels) {
    part_.channel = channel;
    part_.channels = channels;
    if (!in_place_) stride_x_ = channels;
    next_ = 0;
  }

  // Makes rows [begin, end) readable; begin must not decrease from one call to the next.
  void read(int64_t begin, int64_t end) {
    if (in_place_) return;
    for (int64_t y = larger(begin, next_); y < end; ++y) {
      with_storage<A>(part_.map.dtype, [&](auto t) { read_row<decltype(t)>(part_, y, row(y)); });
    }
    next_ = larger(end, next_);
  }

  A* row(int64_t y) {
    return in_place_ ? static_cast<A*>(part_.map.data) + part_.row(y)
                     : buffer_.data() + y % capacity_ * part_.width * part_.channels;
  }
  int64_t stride_x() const { return stride_x_; }

  // Writes rows [begin, end) to the map; all of their elements must have been set.
  void write(int64_t begin, int64_t end) {
    if (in_place_) return;
    for (int64_t y = begin; y < end; ++y) {
      with_storage<A>(part_.map.dtype, [&](auto t) { write_row<decltype(t)>(part_, y, row(y)); });
    }
  }

  // The same with softmax over the channels. (Inlined, it would make the kernels around it slower.)
  __attribute__((noinline)) void write_softmax(int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      with_storage<A>(part_.map.dtype,
                      [&](auto t) { write_softmax_row<decltype(t)>(part_, y, row(y), stride_x_); });
    }
  }

 private:
  Part part_;
  int64_t capacity_;
  bool in_place_;
  int64_t stride_x_;
  int64_t next_ = 0;
  Buffer<A> buffer_;
};

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
