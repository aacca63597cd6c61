// The point operators on the CPU. Points may lie anywhere, so the channels of the whole low-res map
// must lie side by side: where they do not, the map is copied, some channels at a time. The points
// of a tile of positions are found together, in vectors; then each position goes over its channels.
#pragma once

#include <limits>

#include "../common/point.h"
#include "kernels.h"
#include "lane.h"
#include "rows.h"

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

// A low-res map, and a copy of its rows [begin, end). Pixel (y, x) is y * row + x * column elements
// from the beginning of the map, (y - begin) * copy_row + x * copy_column from that of the copy.
template <class A>
struct Pixels {
  A* data[2];  // of the map, of the copy
  int64_t row;
  int64_t column;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t copy_row = 0;
  int64_t copy_column = 0;
};

// The low-res map of one group, channels side by side.
template <class A>
class LowMap {
 public:
  LowMap(const PointArguments& a, int64_t n, int64_t g, int64_t channel, int64_t channels)
      : height_(a.y.low),
        width_(a.x.low),
        channels_(channels),
        rows_({a.low, n, g, channel, channels, width_}, height_, is_in_place(a)) {}

  // Vectors of integers count the elements.
  static bool is_in_place(const PointArguments& a) {
    constexpr int64_t kMost = std::numeric_limits<typename Simd<A>::Integer>::max();
    return Part{a.low, 0, 0, 0, a.channels, a.x.low}.in_place<A>() &&
           (a.y.low - 1) * a.low.stride_y + (a.x.low - 1) * a.low.stride_x <= kMost;
  }

  void read(const Parallel& parallel) const {
    parallel.for_each(height_, [&](int64_t begin, int64_t end) { rows_.copy(begin, end); });
  }
  void write() { rows_.write(0, height_); }

  void clear() {
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x) {
        for (int64_t c = 0; c < channels_; ++c) rows_.row(y)[x * rows_.stride_x() + c] = 0;
      }
    }
  }

  Pixels<A> pixels() const { return {{rows_.row(0), nullptr}, rows_.stride_y(), rows_.stride_x()}; }

 private:
  int64_t height_;
  int64_t width_;
  int64_t channels_;
  Rows<A> rows_;
};

// Positions whose points are near each other: high-res rows, as many as belong to kStripRows
// low-res rows. Most of their points are at most kReach rows above or below.
constexpr int64_t kStripRows = 8;
constexpr int64_t kReach = 3;

inline int64_t strip_rows(const PointArguments& a) {
  return kStripRows * ((a.y.high + a.y.low - 1) / a.y.low);
}

// A copy of the low-res rows around a strip, if that is apart: the cache has room for few addresses
// as far from each other as pixels with more channels in between.
template <class A>
class NearRows {
 public:
  NearRows(const PointArguments& a, const Pixels<A>& map, bool is_apart, int64_t channels,
           int64_t begin, int64_t end)
      : map_(map),
        width_(a.x.low),
        channels_(channels),
        begin_(larger<int64_t>(a.y.low_index(begin) - kReach, 0)),
        end_(is_apart ? smaller(a.y.low_index(end - 1) + kReach + 1, a.y.low) : begin_),
        copy_((end_ - begin_) * width_ * channels_) {}

  Pixels<A> pixels() {
    Pixels<A> pixels = map_;
    pixels.data[1] = copy_.data();
    pixels.begin = begin_;
    pixels.end = end_;
    pixels.copy_row = width_ * channels_;
    pixels.copy_column = channels_;
    return pixels;
  }

  void read() {
    for_each([](A* map, A* copy, auto lane) { decltype(lane)::load(map).store(copy); });
  }
  void clear() {
    for_each([](A*, A* copy, auto lane) { decltype(lane)::zero().store(copy); });
  }
  void add_to_map() {
    for_each([](A* map, A* copy, auto lane) {
      auto sum = decltype(lane)::load(map);
      sum.add(A(1), decltype(lane)::load(copy));
      sum.store(map);
    });
  }

 private:
  template <class Body>
  SAPA_HD void for_each(const Body& body) {
    A* copy = copy_.data();
    for (int64_t y = begin_; y < end_; ++y) {
      A* map = map_.data[0] + y * map_.row;
      for (int64_t x = 0; x < width_; ++x, map += map_.column, copy += channels_) {
        for_each_lane<A, 4>(channels_,
                            [&](auto lane, int64_t c) { body(map + c, copy + c, lane); });
      }
    }
  }

  Pixels<A> map_;
  int64_t width_;
  int64_t channels_;
  int64_t begin_;
  int64_t end_;
  Buffer<A> copy_;
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
  PointFinder(const PointArguments& a, const Pixels<A>& low, int64_t n, int64_t g)
      : a_(a),
        low_(low),
        offset_({a.offset, n, g, 0, 2 * a.points, a.x.high}),
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

  // For all positions. weight(j) has the weights from j on.
  template <class Weight>
  void find(int64_t point, const Weight& weight, TilePoint<A>& to) const {
    for (int64_t j = 0; j < kTile; j += kVectorSize<A>) {
      const Corners<A, Numbers> found = corners(point, j);
      Value factor[4];
      corner_factors(factor, weight(j), found);
      const Index on_copy = (found.y.index[0] >= Numbers::broadcast(low_.begin)) &
                            (found.y.index[1] < Numbers::broadcast(low_.end));
      const auto choose = [&](int64_t copy, int64_t map) {
        return on_copy ? Numbers::broadcast(copy) : Numbers::broadcast(map);
      };
      const Index begin = choose(low_.begin, 0);
      const Index row = choose(low_.copy_row, low_.row);
      const Index column = choose(low_.copy_column, low_.column);
      SAPA_UNROLL
      for (int k = 0; k < 4; ++k) {
        store_as(&to.pixel[k][j],
                 (found.y.index[k / 2] - begin) * row + found.x.index[k % 2] * column);
        store_as(&to.factor[k][j], factor[k]);
      }
      store_as(&to.copied[j], -on_copy);
      store_as(&to.inside[j], found.inside());
    }
  }

 private:
  const PointArguments& a_;
  Pixels<A> low_;
  Tile<A> offset_;
  Buffer<Integer> column_;
  Index row_{};
  const Integer* first_column_ = nullptr;
};

// All points of a tile, weighted.
template <class A>
class WeightedPoints {
 public:
  WeightedPoints(const PointArguments& a, const Pixels<A>& low, int64_t n, int64_t g)
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
    for (int k = 0; k < kProducts; ++k) products[k][j] = product[k].parts(high.channels());
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
void point_assemble_rows(const PointArguments& a, const LowMap<A>& low, int64_t n, int64_t g,
                         int64_t channel, int64_t channels, int64_t begin, int64_t end) {
  Rows<A> high({a.high, n, g, channel, channels, a.x.high}, 1);
  NearRows<A> near(a, low.pixels(), low.pixels().column > channels, channels, begin, end);
  near.read();
  const Pixels<A> pixels = near.pixels();
  WeightedPoints<A> points(a, pixels, n, g);
  with_count<A>(channels, [&](auto count) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < a.x.high; j += kTile) {
        points.find(i, j);
        assemble_tile(points, pixels, fetch_positions<true>(high, i, j, a.x.high, channels, count));
      }
      high.write(i, i + 1);
    }
  });
}

// point_similarity, into the map `similarity`. Where SLOPES, point_gradients: that, and the
// derivative of weight * similarity by the offset.
template <class A, bool SLOPES>
void point_similarity_rows(const PointArguments& a, const Map& similarity, const LowMap<A>& low,
                           int64_t n, int64_t g, int64_t begin, int64_t end) {
  using Value = typename Simd<A>::Value;
  Rows<A> high({a.high, n, g, 0, a.channels, a.x.high}, 1);
  Tile<A> out({similarity, n, g, 0, a.points, a.x.high});
  Tile<A> weight({a.weight, n, g, 0, SLOPES ? a.points : 0, a.x.high});
  Tile<A> offset_grad({a.offset_grad, n, g, 0, SLOPES ? 2 * a.points : 0, a.x.high});
  NearRows<A> near(a, low.pixels(), low.pixels().column > a.channels, a.channels, begin, end);
  near.read();
  const Pixels<A> pixels = near.pixels();
  PointFinder<A> finder(a, pixels, n, g);
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
      high.read(i, i + 1);
      for (int64_t j = 0; j < a.x.high; j += kTile) {
        finder.read(i, j);
        if (SLOPES) weight.read(i, j);
        const auto queries = fetch_positions<false>(high, i, j, a.x.high, a.channels, count);
        for (int64_t s = 0; s < a.points; ++s) {
          finder.find(s, [](int64_t) { return Value{} + 1; }, point);
          multiply_tile<A, decltype(count)::value, SLOPES>(point, pixels, queries, products);
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
  LowMap<A> low(a, n, g, channel, channels);
  low.clear();
  // Not by these channels, whose number depends on that of the threads.
  const bool is_apart = LowMap<A>::is_in_place(a) && a.low.stride_x > 1;
  Rows<A> high({a.high, n, g, channel, channels, a.x.high}, 1);
  for (int64_t begin = 0; begin < a.y.high; begin += strip_rows(a)) {
    const int64_t end = smaller(begin + strip_rows(a), a.y.high);
    NearRows<A> near(a, low.pixels(), is_apart, channels, begin, end);
    near.clear();
    const Pixels<A> pixels = near.pixels();
    WeightedPoints<A> points(a, pixels, n, g);
    with_count<A>(channels, [&](auto count) {
      for (int64_t i = begin; i < end; ++i) {
        high.read(i, i + 1);
        for (int64_t j = 0; j < a.x.high; j += kTile) {
          points.find(i, j);
          adjoint_tile(points, pixels,
                       fetch_positions<false>(high, i, j, a.x.high, channels, count));
        }
      }
    });
    near.add_to_map();
  }
  low.write();
}

// Calls body(low-res map, n, g, first channel, channels, first row, last row) for all of the
// output.
template <class A, class Body>
void for_each_strip(const PointArguments& a, int64_t block, const Parallel& parallel,
                    const Body& body) {
  const bool in_place = LowMap<A>::is_in_place(a);
  for (int64_t n = 0; n < a.batch; ++n) {
    if (in_place) {
      parallel.for_each(a.y.high, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i += strip_rows(a)) {
          for (int64_t g = 0; g < a.groups; ++g) {
            const LowMap<A> low(a, n, g, 0, a.channels);
            body(low, n, g, 0, a.channels, i, smaller(i + strip_rows(a), end));
          }
        }
      });
      continue;
    }
    for (int64_t g = 0; g < a.groups; ++g) {
      for (int64_t channel = 0; channel < a.channels; channel += block) {
        const int64_t channels = smaller(block, a.channels - channel);
        LowMap<A> low(a, n, g, channel, channels);
        low.read(parallel);
        parallel.for_each(a.y.high, [&](int64_t begin, int64_t end) {
          body(low, n, g, channel, channels, begin, end);
        });
      }
    }
  }
}

template <class A>
struct PointKernels {
  static void similarity(const PointArguments& a, const Parallel& parallel) {
    for_each_strip<A>(
        a, a.channels, parallel,
        [&](const LowMap<A>& low, int64_t n, int64_t g, int64_t, int64_t, int64_t begin,
            int64_t end) { point_similarity_rows<A, false>(a, a.weight, low, n, g, begin, end); });
  }
  static void gradients(const PointArguments& a, const Parallel& parallel) {
    for_each_strip<A>(a, a.channels, parallel,
                      [&](const LowMap<A>& low, int64_t n, int64_t g, int64_t, int64_t,
                          int64_t begin, int64_t end) {
                        point_similarity_rows<A, true>(a, a.weight_grad, low, n, g, begin, end);
                      });
  }
  static void assemble(const PointArguments& a, const Parallel& parallel) {
    for_each_strip<A>(a, assemble_block(a), parallel,
                      [&](const LowMap<A>& low, int64_t n, int64_t g, int64_t channel,
                          int64_t channels, int64_t begin, int64_t end) {
                        point_assemble_rows<A>(a, low, n, g, channel, channels, begin, end);
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

  // Channels that are copied at a time: so many that the copy has 4 % of the size of the output.
  static int64_t assemble_block(const PointArguments& a) {
    const int64_t fitting = a.groups * a.channels * a.y.high * a.x.high / (25 * a.y.low * a.x.low);
    return smaller(a.channels, larger<int64_t>(fitting / 16 * 16, 16));
  }
};

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
