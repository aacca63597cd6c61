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

constexpr int64_t kCacheLine = 64;

// Memory for a few rows of numbers, from the start of a cache line on: a vector that lies across
// two takes longer. (The linker may merge what a std::vector compiles to for one instruction set
// with that for another; what lies in this namespace stays apart.)
template <class T>
class Buffer {
  static_assert(std::is_trivially_destructible_v<T>);
  static constexpr std::align_val_t kAlignment{kCacheLine};

 public:
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(::operator new(size * sizeof(T), kAlignment))) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { ::operator delete(data_, kAlignment); }

  T& operator[](int64_t i) const { return data_[i]; }
  T* data() const { return data_; }

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

// Columns that are copied at a time: one cache line of floats.
constexpr int64_t kTile = 16;

// Channels and columns of a map, or of a copy of it, from some element on.
template <class T>
struct Block {
  T* data;
  int64_t stride_c;
  int64_t stride_x;
};

// The columns of a row from x on.
template <class T>
Block<T> block_at(const Part& part, int64_t y, int64_t x) {
  T* const row = static_cast<T*>(part.map.data) + part.row(y);
  return {row + x * part.map.stride_x, part.map.stride_c, part.map.stride_x};
}

template <class To, class From>
SAPA_HD To converted(From x) {
  return Narrow<To>::from(static_cast<Accumulator<To>>(widen(x)));
}

// to[v * to_v + u * to_u] = from[v * from_v + u * from_u] for v < rows, u < columns.
template <class From, class To>
SAPA_HD void copy_elements(const From* from, int64_t from_v, int64_t from_u, To* to, int64_t to_v,
                           int64_t to_u, int64_t rows, int64_t columns) {
  for (int64_t v = 0; v < rows; ++v) {
    const From* const row = from + v * from_v;
    To* const own = to + v * to_v;
    if (from_u == 1 && to_u == 1) {
      for (int64_t u = 0; u < columns; ++u) own[u] = converted<To>(row[u]);
    } else {
      for (int64_t u = 0; u < columns; ++u) own[u * to_u] = converted<To>(row[u * from_u]);
    }
  }
}

// The same for rows and columns as long as transpose_block takes.
template <class From, class To>
SAPA_HD void copy_square(const From* from, int64_t from_v, To* to, int64_t to_u) {
  constexpr int64_t kSide = kTransposed;
  float square[kSide * kSide];
  if constexpr (std::is_same_v<From, float> && std::is_same_v<To, float>) {
    transpose_block(from, from_v, to, to_u);
  } else if constexpr (std::is_same_v<To, float>) {
    copy_elements(from, from_v, 1, square, kSide, 1, kSide, kSide);
    transpose_block(square, kSide, to, to_u);
  } else if constexpr (std::is_same_v<From, float>) {
    transpose_block(from, from_v, square, kSide);
    copy_elements(square, kSide, 1, to, to_u, 1, kSide, kSide);
  }
}

// The same where neighbours u are side by side in `from`, neighbours v in `to`.
template <class From, class To>
SAPA_HD void copy_transposed(const From* from, int64_t from_v, To* to, int64_t to_u, int64_t rows,
                             int64_t columns) {
  constexpr int64_t kSide = kTransposed;
  constexpr bool kIsFloat =
      std::is_same_v<Accumulator<From>, float> && std::is_same_v<Accumulator<To>, float>;
  int64_t v = 0;
  for (; kIsFloat && v + kSide <= rows; v += kSide) {
    int64_t u = 0;
    for (; u + kSide <= columns; u += kSide) {
      copy_square(from + v * from_v + u, from_v, to + u * to_u + v, to_u);
    }
    copy_elements(from + v * from_v + u, from_v, 1, to + u * to_u + v, 1, to_u, kSide, columns - u);
  }
  copy_elements(from + v * from_v, from_v, 1, to + v, 1, to_u, rows - v, columns);
}

template <class From, class To>
SAPA_HD void copy_block(const Block<From>& from, const Block<To>& to, int64_t channels,
                        int64_t columns) {
  if (from.stride_c == 1 && to.stride_c == 1) {
    copy_elements(from.data, from.stride_x, 1, to.data, to.stride_x, 1, columns, channels);
  } else if (from.stride_x == 1 && to.stride_c == 1) {
    copy_transposed(from.data, from.stride_c, to.data, to.stride_x, channels, columns);
  } else if (from.stride_c == 1 && to.stride_x == 1) {
    copy_transposed(from.data, from.stride_x, to.data, to.stride_c, columns, channels);
  } else {
    copy_elements(from.data, from.stride_c, from.stride_x, to.data, to.stride_c, to.stride_x,
                  channels, columns);
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

// Has a later tile fetched: the processor itself does not keep track of so many channels or
// columns. To the second level, as there is no room in the first for so many lines at the same
// distance.
template <bool WRITTEN, class T>
SAPA_HD void fetch_tile(const Block<T>& block, int64_t channels) {
  constexpr int64_t kAhead = 4;
  constexpr int kLevel2 = 2;
  constexpr int64_t kLine = kCacheLine / sizeof(T);
  const T* const data = block.data + kAhead * kTile * block.stride_x;
  const bool dense = block.stride_c == 1;
  const int64_t rows = dense ? kTile : channels;
  const int64_t row_stride = dense ? block.stride_x : block.stride_c;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < (dense ? channels : kTile); i += kLine) {
      __builtin_prefetch(data + row * row_stride + i, WRITTEN, kLevel2);
    }
  }
}

// Copies a tile, the columns of a row from x on, from a map, or where WRITE to it.
template <bool WRITE, class A>
void copy_tile(const Part& part, int64_t y, int64_t x, const Block<A>& own) {
  with_storage<A>(part.map.dtype, [&](auto t) {
    const auto map = block_at<decltype(t)>(part, y, x);
    const int64_t columns = smaller(kTile, part.width - x);
    fetch_tile<WRITE>(map, part.channels);
    if constexpr (WRITE) {
      copy_block(own, map, part.channels, columns);
    } else {
      copy_block(map, own, part.channels, columns);
    }
  });
}

// Copies a row to memory with its channels side by side, or where WRITE from it.
template <bool WRITE, class A>
void copy_row(const Part& part, int64_t y, A* own) {
  for (int64_t x = 0; x < part.width; x += kTile) {
    copy_tile<WRITE>(part, y, x, Block<A>{own + x * part.channels, 1, part.channels});
  }
}

// A part of a map, a tile at a time: channel by channel, so that a vector has the same channel of
// several columns. Those beyond the row are 0.
template <class A>
class Tile {
 public:
  explicit Tile(const Part& part) : part_(part), data_(part.channels * kTile) {}

  void read(int64_t y, int64_t x) { read(part_, y, x); }
  // From another map of as many channels and columns.
  void read(const Part& part, int64_t y, int64_t x) {
    copy_tile<false>(part, y, x, block());
    const int64_t columns = smaller(kTile, part.width - x);
    for (int64_t c = 0; columns < kTile && c < part.channels; ++c) {
      for (int64_t beyond = columns; beyond < kTile; ++beyond) channel(c)[beyond] = 0;
    }
  }
  void write(int64_t y, int64_t x) { copy_tile<true>(part_, y, x, block()); }

  // Over the channels.
  void softmax() {
    using Vector = typename VectorOf<A, kVectorBytes>::Type;
    using Bits = typename VectorOf<typename Binary<A>::Bits, kVectorBytes>::Type;
    for (int64_t x = 0; x < kTile; x += kVectorSize<A>) {
      const auto load = [&](int64_t c) { return load_as<Vector>(channel(c) + x); };
      const auto store = [&](int64_t c, Vector v) { store_as(channel(c) + x, v); };
      sapa::softmax<A, Vector, Bits>(part_.channels, load, store, store);
    }
  }

  A* channel(int64_t c) const { return data_.data() + c * kTile; }

 private:
  Block<A> block() { return {data_.data(), kTile, 1}; }

  Part part_;
  Buffer<A> data_;
};

template <class A>
class Rows {
 public:
  // Holds the last `capacity` rows, if they are not used in place.
  Rows(const Part& part, int64_t capacity) : Rows(part, capacity, part.in_place<A>()) {}
  Rows(const Part& part, int64_t capacity, bool in_place)
      : part_(part),
        capacity_(capacity),
        in_place_(in_place),
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
    copy(larger(begin, next_), end);
    next_ = larger(end, next_);
  }

  // The same for any rows, and any number of threads.
  void copy(int64_t begin, int64_t end) const {
    for (int64_t y = begin; y < end && !in_place_; ++y) copy_row<false>(part_, y, row(y));
  }

  A* row(int64_t y) const {
    return in_place_ ? static_cast<A*>(part_.map.data) + part_.row(y)
                     : buffer_.data() + y % capacity_ * part_.width * part_.channels;
  }
  int64_t stride_x() const { return stride_x_; }
  // Between neighbouring rows that are all held.
  int64_t stride_y() const { return in_place_ ? part_.map.stride_y : part_.width * part_.channels; }

  // Writes rows [begin, end) to the map; all of their elements must have been set.
  void write(int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end && !in_place_; ++y) copy_row<true>(part_, y, row(y));
  }

  // The same with softmax over the channels. (Inlined, it would make the kernels around it slower.)
  __attribute__((noinline)) void write_softmax(int64_t begin, int64_t end) {
    Tile<A> tile(part_);
    for (int64_t y = begin; y < end; ++y) {
      const Map map{row(y), Number<A>::kDtype, 0, 0, 1, 0, stride_x_};
      const Part scores{map, 0, 0, 0, part_.channels, part_.width};
      for (int64_t x = 0; x < part_.width; x += kTile) {
        tile.read(scores, 0, x);
        tile.softmax();
        tile.write(y, x);
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

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
