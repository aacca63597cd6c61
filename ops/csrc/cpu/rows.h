// Rows of a map in the form that the kernels work on: the computing type, channels side by side. A
// map that lies in memory like that is used in place; any other passes through a buffer of a few
// rows.
#pragma once

#include <new>
#include <type_traits>

#include "../common/arguments.h"
#include "../common/softmax.h"
#include "transpose.h"

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

// Memory for a few rows of numbers, in whole cache lines: a vector that lies in two takes longer.
// (The linker may merge what a std::vector compiles to for one instruction
// set with that for another; what lies in this namespace stays apart.)
template <class T>
class Buffer {
  static_assert(std::is_trivially_destructible_v<T>);
  static constexpr std::align_val_t kCacheLine{64};

 public:
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(::operator new(size * sizeof(T), kCacheLine))) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { ::operator delete(data_, kCacheLine); }

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

// Copies a tile of a row, kTile columns from x0 on, to memory with its columns side by side:
// channel by channel, so that a vector has the same channel of several columns. Those beyond the
// row are 0.
template <class T, class A>
void read_tile(const Part& part, int64_t y, int64_t x0, A* tile) {
  const T* map = static_cast<const T*>(part.map.data) + part.row(y) + x0 * part.map.stride_x;
  const int64_t columns = smaller(kTile, part.width - x0);
  const int64_t stride_c = part.map.stride_c;
  const int64_t stride_x = part.map.stride_x;
  int64_t c = 0;
  if constexpr (std::is_same_v<T, float> && std::is_same_v<A, float>) {
    if (stride_c == 1 && columns == kTile) {
      for (; c + kTransposed <= part.channels; c += kTransposed) {
        for (int64_t x = 0; x < kTile; x += kTransposed) {
          transpose_block(map + x * stride_x + c, stride_x, tile + c * kTile + x, kTile);
        }
      }
      for (int64_t x = 2 * kTile; x < 3 * kTile; ++x) {
        for (int64_t k = 0; k < part.channels; k += kTile) {
          __builtin_prefetch(map + x * stride_x + k);
        }
      }
    }
  }
  for (; c < part.channels; ++c) {
    const T* from = map + c * stride_c;
    __builtin_prefetch(from + 2 * kTile * stride_x);
    A* to = tile + c * kTile;
    for (int64_t x = 0; x < columns; ++x) to[x] = static_cast<A>(widen(from[x * stride_x]));
    for (int64_t x = columns; x < kTile; ++x) to[x] = 0;
  }
}

// The way back.
template <class T, class A>
void write_tile(const Part& part, int64_t y, int64_t x0, const A* tile) {
  T* map = static_cast<T*>(part.map.data) + part.row(y) + x0 * part.map.stride_x;
  const int64_t columns = smaller(kTile, part.width - x0);
  const int64_t stride_x = part.map.stride_x;
  for (int64_t c = 0; c < part.channels; ++c) {
    T* to = map + c * part.map.stride_c;
    __builtin_prefetch(to + kTile * stride_x, 1);
    for (int64_t x = 0; x < columns; ++x) {
      to[x * stride_x] = Narrow<T>::from(static_cast<Accumulator<T>>(tile[c * kTile + x]));
    }
  }
}

// Softmax over the channels of a tile.
template <class A>
void softmax_tile(int64_t channels, A* tile) {
  using Vector = typename VectorOf<A, kVectorBytes>::Type;
  using Bits = typename VectorOf<typename Binary<A>::Bits, kVectorBytes>::Type;
  for (int64_t x = 0; x < kTile; x += kVectorSize<A>) {
    const auto load = [&](int64_t c) { return load_as<Vector>(tile + c * kTile + x); };
    const auto store = [&](int64_t c, Vector v) { store_as(tile + c * kTile + x, v); };
    softmax<A, Vector, Bits>(channels, load, store, store);
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
    Buffer<A> tile(part_.channels * kTile);
    for (int64_t y = begin; y < end; ++y) {
      const Map map{row(y), Number<A>::kDtype, 0, 0, 1, 0, stride_x_};
      const Part scores{map, 0, 0, 0, part_.channels, part_.width};
      for (int64_t x = 0; x < part_.width; x += kTile) {
        read_tile<A>(scores, 0, x, tile.data());
        softmax_tile(part_.channels, tile.data());
        with_storage<A>(part_.map.dtype,
                        [&](auto t) { write_tile<decltype(t)>(part_, y, x, tile.data()); });
      }
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

// A part of a map, a tile at a time.
template <class A>
class Tile {
 public:
  explicit Tile(const Part& part) : part_(part), data_(part.channels * kTile) {}

  void read(int64_t y, int64_t x0) {
    with_storage<A>(part_.map.dtype,
                    [&](auto t) { read_tile<decltype(t)>(part_, y, x0, data_.data()); });
  }
  void write(int64_t y, int64_t x0) const {
    with_storage<A>(part_.map.dtype,
                    [&](auto t) { write_tile<decltype(t)>(part_, y, x0, data_.data()); });
  }
  void softmax() { softmax_tile(part_.channels, data_.data()); }

  A* channel(int64_t c) { return data_.data() + c * kTile; }
  const A* channel(int64_t c) const { return data_.data() + c * kTile; }

 private:
  Part part_;
  Buffer<A> data_;
};

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
