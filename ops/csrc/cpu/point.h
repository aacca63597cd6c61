// The point operators on the CPU. Points may lie anywhere, and most lie near: the low-res rows
// around a position's are copied with their channels side by side, other pixels one by one where
// the map itself has them in another way. The points of a tile of positions are found together, in
// vectors; then each position goes over its channels.
#pragma once

#include <limits>

#include "../common/point.h"
#include "kernels.h"
#include "lane.h"
#include "rows.h"

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

// A low-res map, and a copy of its rows [begin, end), each in the place of the one kNear before it.
// Pixel (y, x) is y * row + x * column elements from the beginning of the map, and
// y % kNear * copy_row + x * copy_column from that of the copy.
template <class A>
struct Pixels {
  A* data[2];  // of the map, of the copy
  int64_t row;
  int64_t column;
  int64_t begin;
  int64_t end;
  int64_t copy_row;
  int64_t copy_column;
};

// Most points are at most so many rows above or below their position.
constexpr int64_t kReach = 7;
constexpr int64_t kNear = 2 * kReach + 2;

// What the copy of a row is for. (It is no use for maps with dense channels. Where others lie in
// between, the cache has room for few addresses as far from each other.)
enum class Copy { kNone, kToRead, kToAdd };

// Whether a low-res map is used as it is. Vectors of integers count its elements.
template <class A>
bool is_in_place(const PointArguments& a) {
  constexpr int64_t kMost = std::numeric_limits<typename Simd<A>::Integer>::max();
  return Part{a.low, 0, 0, 0, a.channels, a.x.low}.in_place<A>() &&
         (a.y.low - 1) * a.low.stride_y + (a.x.low - 1) * a.low.stride_x <= kMost;
}

// The rows near a low-res row that moves on.
template <class A>
class NearRows {
 public:
  NearRows(const Part& map, int64_t height, Copy copy, bool in_place)
      : map_(map),
        height_(height),
        copy_(copy),
        near_(copy == Copy::kNone ? 0 : kNear * map.width * map.channels),
        pixels_{{in_place ? static_cast<A*>(map.map.data) + map.row(0) : nullptr, near_.data()},
                map.map.stride_y,
                map.map.stride_x,
                0,
                0,
                map.width * map.channels,
                map.channels} {}

  // The row must not decrease.
  void move(int64_t row) {
    if (copy_ == Copy::kNone) return;
    const int64_t begin = larger<int64_t>(0, row - kReach);
    const int64_t end = smaller(height_, row + kReach + 2);
    if (pixels_.end < begin) pixels_.begin = pixels_.end = begin;
    for (; pixels_.begin < begin; ++pixels_.begin) leave(pixels_.begin);
    for (; pixels_.end < end; ++pixels_.end) enter(pixels_.end);
  }

  // To be called after the last row.
  void finish() {
    for (; pixels_.begin < pixels_.end; ++pixels_.begin) leave(pixels_.begin);
  }

  const Part& map() const { return map_; }
  const Pixels<A>& pixels() const { return pixels_; }

 private:
  A* near(int64_t y) const { return near_.data() + y % kNear * pixels_.copy_row; }

  void enter(int64_t y) {
    if (copy_ == Copy::kToRead) {
      copy_row<false>(map_, y, near(y));
    } else {
      memset(near(y), 0, pixels_.copy_row * sizeof(A));
    }
  }

  void leave(int64_t y) {
    if (copy_ == Copy::kToRead) return;
    const A* from = near(y);
    A* to = pixels_.data[0] + y * pixels_.row;
    for (int64_t x = 0; x < map_.width; ++x, from += map_.channels, to += pixels_.column) {
      for_each_lane<A, 4>(map_.channels, [&](auto lane, int64_t c) {
        auto sum = decltype(lane)::load(to + c);
        sum.add(A(1), decltype(lane)::load(from + c));
        sum.store(to + c);
      });
    }
  }

  Part map_;
  int64_t height_;
  Copy copy_;
  Buffer<A> near_;
  Pixels<A> pixels_;
};

// What one point of a position reads or adds to: the pixels around it, and their factors.
template <class A>
struct PointPixels {
  A* pixel[4];
  A factor[4];
};

// The same for all positions of a tile. There are pixels of a point outside the map, too, which
// must not count.
template <class A>
struct TilePoint {
  using Integer = typename Simd<A>::Integer;
  Integer pixel[4][kTile];  // in elements
  A factor[4][kTile];
  Integer copied[kTile];
  Integer inside[kTile];

  SAPA_HD PointPixels<A> at(int64_t j, const Pixels<A>& low) const {
    A* const data = low.data[copied[j]];
    return {{data + pixel[0][j], data + pixel[1][j], data + pixel[2][j], data + pixel[3][j]},
            {factor[0][j], factor[1][j], factor[2][j], factor[3][j]}};
  }
};

// Finds points, for a tile of positions at once.
template <class A>
class PointFinder {
  using Numbers = Simd<A>;
  using Value = typename Numbers::Value;
  using Index = typename Numbers::Index;
  using Integer = typename Numbers::Integer;

 public:
  PointFinder(const PointArguments& a, const NearRows<A>& low, int64_t n, int64_t g)
      : a_(a),
        low_(low),
        in_place_(low.pixels().data[0] != nullptr),
        offset_({a.offset, n, g, 0, 2 * a.points, a.x.high}),
        far_(in_place_ ? 0 : a.points * kTile * 4 * a.channels),
        column_((a.x.high + kTile - 1) / kTile * kTile) {
    for (int64_t j = 0; j < a.x.high; ++j) column_[j] = static_cast<Integer>(a.x.low_index(j));
    for (int64_t j = a.x.high; j % kTile > 0; ++j) column_[j] = 0;
  }

  // Moves on to the tile at (i, j).
  void read(int64_t i, int64_t j) {
    offset_.read(i, j);
    row_ = Numbers::broadcast(a_.y.low_index(i));
    first_column_ = column_.data() + j;
  }

  // The corners for as many positions of the tile, from j on, as a vector has elements.
  SAPA_HD Corners<A, Numbers> corners(int64_t point, int64_t j) const {
    const auto column = load_as<Index>(first_column_ + j);
    const auto x = load_as<Value>(offset_.channel(2 * point) + j);
    const auto y = load_as<Value>(offset_.channel(2 * point + 1) + j);
    return {row_, y, a_.y.low, column, x, a_.x.low};
  }

  // The map, or where it is not used in place the pixels that were copied one by one; and the copy.
  Pixels<A> pixels() const {
    Pixels<A> pixels = low_.pixels();
    if (!in_place_) pixels.data[0] = far_.data();
    return pixels;
  }

  // For all positions. weight(j) has the weights from j on.
  template <class Weight>
  void find(int64_t point, const Weight& weight, TilePoint<A>& to) const {
    const Pixels<A>& low = low_.pixels();
    for (int64_t j = 0; j < kTile; j += kVectorSize<A>) {
      const Corners<A, Numbers> found = corners(point, j);
      Value factor[4];
      corner_factors(factor, weight(j), found);
      const Index on_copy = (found.y.index[0] >= Numbers::broadcast(low.begin)) &
                            (found.y.index[1] < Numbers::broadcast(low.end));
      const auto choose = [&](int64_t copy, int64_t map) {
        return on_copy ? Numbers::broadcast(copy) : Numbers::broadcast(map);
      };
      const Index rows = choose(kNear - 1, -1);
      const Index row = choose(low.copy_row, low.row);
      const Index column = choose(low.copy_column, low.column);
      SAPA_UNROLL
      for (int k = 0; k < 4; ++k) {
        store_as(&to.pixel[k][j],
                 (found.y.index[k / 2] & rows) * row + found.x.index[k % 2] * column);
        store_as(&to.factor[k][j], factor[k]);
      }
      store_as(&to.copied[j], -on_copy);
      if (!in_place_ && !Numbers::all(on_copy)) copy_far(found, point, j, to);
      store_as(&to.inside[j], found.inside());
    }
  }

 private:
  __attribute__((noinline)) void copy_far(const Corners<A, Numbers>& found, int64_t point,
                                          int64_t first, TilePoint<A>& to) const {
    const Part& map = low_.map();
    for (int j = 0; j < kVectorSize<A>; ++j) {
      if (to.copied[first + j]) continue;
      for (int k = 0; k < 4; ++k) {
        const int64_t pixel = ((point * kTile + first + j) * 4 + k) * map.channels;
        to.pixel[k][first + j] = static_cast<Integer>(pixel);
        with_storage<A>(map.map.dtype, [&](auto t) {
          copy_block(block_at<decltype(t)>(map, found.y.index[k / 2][j], found.x.index[k % 2][j]),
                     Block<A>{far_.data() + pixel, 1, map.channels}, map.channels, 1);
        });
      }
    }
  }

  const PointArguments& a_;
  const NearRows<A>& low_;
  bool in_place_;
  Tile<A> offset_;
  Buffer<A> far_;
  Buffer<Integer> column_;
  Index row_{};
  const Integer* first_column_ = nullptr;
};

// All points of a tile, weighted.
template <class A>
class WeightedPoints {
 public:
  WeightedPoints(const PointArguments& a, const NearRows<A>& low, int64_t n, int64_t g)
      : count_(a.points),
        finder_(a, low, n, g),
        weight_({a.weight, n, g, 0, count_, a.x.high}),
        points_(count_) {}

  void find(int64_t i, int64_t j) {
    finder_.read(i, j);
    weight_.read(i, j);
    for (int64_t s = 0; s < count_; ++s) {
      const A* weight = weight_.channel(s);
      finder_.find(
          s, [&](int64_t own) { return load_as<typename Simd<A>::Value>(weight + own); },
          points_[s]);
    }
  }

  Pixels<A> pixels() const { return finder_.pixels(); }
  const TilePoint<A>* begin() const { return points_.data(); }
  const TilePoint<A>* end() const { return points_.data() + count_; }

 private:
  int64_t count_;
  PointFinder<A> finder_;
  Tile<A> weight_;
  Buffer<TilePoint<A>> points_;
};

// Positions of a tile on their high-res map, with COUNT vectors of channels, or any number of
// channels where COUNT is 0.
template <class A, int COUNT>
struct TilePositions {
  A* data;
  int64_t stride;
  int64_t count;
  int64_t any_channels;

  SAPA_HD int64_t channels() const { return COUNT > 0 ? COUNT * kVectorSize<A> : any_channels; }
};

// What follows are functions of their own, so that registers suffice.

template <class A, int COUNT>
__attribute__((noinline)) void assemble_tile(const WeightedPoints<A>& points, Pixels<A> low,
                                             TilePositions<A, COUNT> high) {
  for (int64_t j = 0; j < high.count; ++j, high.data += high.stride) {
    for_each_lane<A, larger(COUNT, 4)>(high.channels(), [&](auto lane, int64_t c) {
      using Lane = decltype(lane);
      Lane sum = Lane::zero();
      for (const TilePoint<A>& point : points) {
        if (!point.inside[j]) continue;
        const PointPixels<A> own = point.at(j, low);
        point_assemble(sum, own.factor, [&](int k) { return Lane::load(own.pixel[k] + c); });
      }
      sum.store(high.data + c);
    });
  }
}

template <class A, int COUNT>
__attribute__((noinline)) void adjoint_tile(const WeightedPoints<A>& points, Pixels<A> low,
                                            TilePositions<A, COUNT> high) {
  for (int64_t j = 0; j < high.count; ++j, high.data += high.stride) {
    for_each_lane<A, larger(COUNT, 4)>(high.channels(), [&](auto lane, int64_t c) {
      using Lane = decltype(lane);
      const Lane grad = Lane::load(high.data + c);
      for (const TilePoint<A>& point : points) {
        if (!point.inside[j]) continue;
        const PointPixels<A> own = point.at(j, low);
        point_adjoint(grad, own.factor, [&](int k, A factor, const Lane& value) {
          Lane sum = Lane::load(own.pixel[k] + c);
          sum.add(factor, value);
          sum.store(own.pixel[k] + c);
        });
      }
    });
  }
}

// The products of a query with each corner where CORNERS, else with the sample: in vectors whose
// elements are to be added up.
template <class A, int COUNT, bool CORNERS>
__attribute__((noinline)) void multiply_tile(const TilePoint<A>& point, Pixels<A> low,
                                             TilePositions<A, COUNT> high,
                                             typename Simd<A>::Value (*products)[kTile]) {
  constexpr int kProducts = CORNERS ? 4 : 1;
  for (int64_t j = 0; j < high.count; ++j, high.data += high.stride) {
    const PointPixels<A> own = point.at(j, low);
    Dot<A> product[kProducts] = {};
    for_each_lane<A, 4>(high.channels(), [&](auto lane, int64_t c) {
      using Lane = decltype(lane);
      const auto at = [&](int k) { return Lane::load(own.pixel[k] + c); };
      if constexpr (CORNERS) {
        corner_products(product, Lane::load(high.data + c), at);
      } else {
        Lane sample = Lane::zero();
        point_assemble(sample, own.factor, at);
        product[0].add(Lane::load(high.data + c), sample);
      }
    });
    SAPA_UNROLL
    for (int k = 0; k < kProducts; ++k) products[k][j] = product[k].parts;
  }
}

// Calls body(COUNT as a Constant) for what follows from the channels.
template <class A, class Body>
void with_count(int64_t channels, const Body& body) {
  switch (channels % kVectorSize<A> == 0 ? channels / kVectorSize<A> : 0) {
    case 1: return body(Constant<1>{});
    case 2: return body(Constant<2>{});
    case 4: return body(Constant<4>{});
    case 8: return body(Constant<8>{});
    default: return body(Constant<0>{});
  }
}

// The positions of the tile at (i, j); has a later tile fetched, to be read or WRITTEN.
template <bool WRITTEN, class A, int COUNT>
TilePositions<A, COUNT> fetch_positions(const Rows<A>& high, int64_t i, int64_t j, int64_t width,
                                        int64_t channels, Constant<COUNT>) {
  A* const data = high.row(i) + j * high.stride_x();
  fetch_tile<WRITTEN>(Block<A>{data, 1, high.stride_x()}, channels);
  return {data, high.stride_x(), smaller(kTile, width - j), channels};
}

template <class A>
void point_assemble_rows(const PointArguments& a, NearRows<A>& low, int64_t n, int64_t g,
                         int64_t begin, int64_t end) {
  Rows<A> high({a.high, n, g, 0, a.channels, a.x.high}, 1);
  WeightedPoints<A> points(a, low, n, g);
  with_count<A>(a.channels, [&](auto count) {
    for (int64_t i = begin; i < end; ++i) {
      low.move(a.y.low_index(i));
      for (int64_t j = 0; j < a.x.high; j += kTile) {
        points.find(i, j);
        assemble_tile(points, points.pixels(),
                      fetch_positions<true>(high, i, j, a.x.high, a.channels, count));
      }
      high.write(i, i + 1);
    }
  });
}

// point_similarity, into the map `similarity`. Where SLOPES, point_gradients: that, and the
// derivative of weight * similarity by the offset.
template <class A, bool SLOPES>
void point_similarity_rows(const PointArguments& a, const Map& similarity, NearRows<A>& low,
                           int64_t n, int64_t g, int64_t begin, int64_t end) {
  using Value = typename Simd<A>::Value;
  Rows<A> high({a.high, n, g, 0, a.channels, a.x.high}, 1);
  Tile<A> out({similarity, n, g, 0, a.points, a.x.high});
  Tile<A> weight({a.weight, n, g, 0, SLOPES ? a.points : 0, a.x.high});
  Tile<A> offset_grad({a.offset_grad, n, g, 0, SLOPES ? 2 * a.points : 0, a.x.high});
  PointFinder<A> finder(a, low, n, g);
  TilePoint<A> point;
  Value products[SLOPES ? 4 : 1][kTile] = {};

  const auto finish = [&](int64_t s) {
    for (int64_t j = 0; j < kTile; j += kVectorSize<A>) {
      const auto inside = load_as<typename Simd<A>::Index>(&point.inside[j]);
      const auto put = [&](A* to, Value value) { store_as(to + j, inside ? value : Value{}); };
      if constexpr (SLOPES) {
        const auto corners = finder.corners(s, j);
        Value dot[4];
        SAPA_UNROLL
        for (int k = 0; k < 4; ++k) dot[k] = totals_of<A>(&products[k][j]);
        Value slope_x;
        Value slope_y;
        point_slopes(slope_x, slope_y, dot, corners);
        // A weight that is not finite must not meet the slopes of 0 outside.
        const auto own = load_as<Value>(weight.channel(s) + j);
        put(out.channel(s), point_similarity(dot, corners));
        put(offset_grad.channel(2 * s), own * slope_x);
        put(offset_grad.channel(2 * s + 1), own * slope_y);
      } else {
        put(out.channel(s), totals_of<A>(&products[0][j]));
      }
    }
  };

  with_count<A>(a.channels, [&](auto count) {
    for (int64_t i = begin; i < end; ++i) {
      low.move(a.y.low_index(i));
      high.read(i, i + 1);
      for (int64_t j = 0; j < a.x.high; j += kTile) {
        finder.read(i, j);
        if (SLOPES) weight.read(i, j);
        const auto queries = fetch_positions<false>(high, i, j, a.x.high, a.channels, count);
        for (int64_t s = 0; s < a.points; ++s) {
          finder.find(s, [](int64_t) { return Value{} + 1; }, point);
          multiply_tile<A, decltype(count)::value, SLOPES>(point, finder.pixels(), queries,
                                                           products);
          finish(s);
        }
        if (!SLOPES && a.softmax) out.softmax();
        out.write(i, j);
        if (SLOPES) offset_grad.write(i, j);
      }
    }
  });
}

// A single thread has these channels, so that a pixel's terms are always added in the same order,
// however many threads there are.
template <class A>
void point_adjoint_channels(const PointArguments& a, int64_t n, int64_t g, int64_t channel,
                            int64_t channels) {
  const bool in_place = is_in_place<A>(a);
  Rows<A> low({a.low, n, g, channel, channels, a.x.low}, a.y.low, in_place);
  for (int64_t y = 0; y < a.y.low; ++y) {
    for (int64_t x = 0; x < a.x.low; ++x) {
      for (int64_t c = 0; c < channels; ++c) low.row(y)[x * low.stride_x() + c] = 0;
    }
  }
  const Map sums{low.row(0), Number<A>::kDtype, 0, 0, 1, low.stride_y(), low.stride_x()};
  // Not by these channels, whose number depends on that of the threads.
  const Copy copy = in_place && a.low.stride_x > 1 ? Copy::kToAdd : Copy::kNone;
  NearRows<A> near({sums, 0, 0, 0, channels, a.x.low}, a.y.low, copy, true);
  Rows<A> high({a.high, n, g, channel, channels, a.x.high}, 1);
  WeightedPoints<A> points(a, near, n, g);
  with_count<A>(channels, [&](auto count) {
    for (int64_t i = 0; i < a.y.high; ++i) {
      near.move(a.y.low_index(i));
      high.read(i, i + 1);
      for (int64_t j = 0; j < a.x.high; j += kTile) {
        points.find(i, j);
        adjoint_tile(points, points.pixels(),
                     fetch_positions<false>(high, i, j, a.x.high, channels, count));
      }
    }
  });
  near.finish();
  low.write(0, a.y.low);
}

// Low-res rows whose positions a thread takes at a time, group by group: groups share cache lines.
constexpr int64_t kStripRows = 16;

// Calls body(low-res rows, n, g, first row, last row) for all of the output.
template <class A, class Body>
void for_each_group(const PointArguments& a, const Parallel& parallel, const Body& body) {
  const bool in_place = is_in_place<A>(a);
  const bool dense = in_place && a.low.stride_x <= a.channels;
  const int64_t rows = kStripRows * ((a.y.high + a.y.low - 1) / a.y.low);
  for (int64_t n = 0; n < a.batch; ++n) {
    parallel.for_each(a.y.high, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += rows) {
        for (int64_t g = 0; g < a.groups; ++g) {
          NearRows<A> low({a.low, n, g, 0, a.channels, a.x.low}, a.y.low,
                          dense ? Copy::kNone : Copy::kToRead, in_place);
          body(low, n, g, i, smaller(i + rows, end));
        }
      }
    });
  }
}

template <class A>
struct PointKernels {
  static void similarity(const PointArguments& a, const Parallel& parallel) {
    for_each_group<A>(a, parallel, [&](NearRows<A>& low, auto... where) {
      point_similarity_rows<A, false>(a, a.weight, low, where...);
    });
  }
  static void gradients(const PointArguments& a, const Parallel& parallel) {
    for_each_group<A>(a, parallel, [&](NearRows<A>& low, auto... where) {
      point_similarity_rows<A, true>(a, a.weight_grad, low, where...);
    });
  }
  static void assemble(const PointArguments& a, const Parallel& parallel) {
    for_each_group<A>(a, parallel, [&](NearRows<A>& low, auto... where) {
      point_assemble_rows<A>(a, low, where...);
    });
  }

  static void adjoint(const PointArguments& a, const Parallel& parallel) {
    // Blocks small enough that all threads find work, down to one vector.
    int64_t block = a.channels;
    while (a.batch * a.groups * (a.channels / block) < 2 * parallel.threads &&
           block > kVectorSize<A>) {
      block = (block + 1) / 2;
    }
    const int64_t blocks = (a.channels + block - 1) / block;
    parallel.for_each(a.batch * a.groups * blocks, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t channel = item % blocks * block;
        point_adjoint_channels<A>(a, item / blocks / a.groups, item / blocks % a.groups, channel,
                                  smaller(block, a.channels - channel));
      }
    });
  }
};

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
