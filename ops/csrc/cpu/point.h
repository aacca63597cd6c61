// The point operators on the CPU. Points may lie anywhere, so the channels of the whole low-res map
// must lie side by side: where they do not, the map is copied, some channels at a time.
#pragma once

#include "../common/point.h"
#include "kernels.h"
#include "lane.h"
#include "rows.h"

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

// The low-res map of one group, channels side by side.
template <class A>
class LowMap {
 public:
  LowMap(const PointArguments& a, int64_t n, int64_t g, int64_t channel, int64_t channels)
      : part_{a.low, n, g, channel, channels, a.x.low},
        height_(a.y.low),
        in_place_(part_.in_place<A>()),
        stride_y_(in_place_ ? a.low.stride_y : a.x.low * channels),
        stride_x_(in_place_ ? a.low.stride_x : channels),
        buffer_(in_place_ ? 0 : height_ * stride_y_),
        data_(in_place_ ? static_cast<A*>(a.low.data) + part_.row(0) : buffer_.data()) {}

  void read(const Parallel& parallel) {
    if (in_place_) return;
    parallel.for_each(height_, [&](int64_t begin, int64_t end) {
      for (int64_t y = begin; y < end; ++y) {
        with_storage<A>(part_.map.dtype,
                        [&](auto t) { read_row<decltype(t)>(part_, y, data_ + y * stride_y_); });
      }
    });
  }

  void clear() {
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < part_.width; ++x) {
        for (int64_t c = 0; c < part_.channels; ++c) data_[y * stride_y_ + x * stride_x_ + c] = 0;
      }
    }
  }

  void write() {
    if (in_place_) return;
    for (int64_t y = 0; y < height_; ++y) {
      with_storage<A>(part_.map.dtype,
                      [&](auto t) { write_row<decltype(t)>(part_, y, data_ + y * stride_y_); });
    }
  }

  A* corner(const Corners<A>& corners, int k) const {
    return data_ + corners.y.index[k / 2] * stride_y_ + corners.x.index[k % 2] * stride_x_;
  }

 private:
  Part part_;
  int64_t height_;
  bool in_place_;
  int64_t stride_y_;
  int64_t stride_x_;
  Buffer<A> buffer_;
  A* data_;
};

// The corners of a sampled point on a low-res map.
template <class A>
struct Point {
  A* low[4];
  A factor[4];
};

// The points of one row of high-res positions.
template <class A>
class PointRow {
 public:
  PointRow(const PointArguments& a, int64_t n, int64_t g)
      : a_(a), offset_({a.offset, n, g, 0, 2 * a.points, a.x.high}, 1), column_(a.x.high) {
    for (int64_t j = 0; j < a.x.high; ++j) column_[j] = a.x.low_index(j);
  }

  void read(int64_t i) {
    offset_.read(i, i + 1);
    row_ = offset_.row(i);
    low_row_ = a_.y.low_index(i);
  }

  Corners<A> corners(int64_t j, int64_t point) const {
    const A* offset = row_ + j * offset_.stride_x() + 2 * point;
    return {low_row_, offset[1], a_.y.low, column_[j], offset[0], a_.x.low};
  }

 private:
  const PointArguments& a_;
  Rows<A> offset_;
  Buffer<int64_t> column_;
  const A* row_ = nullptr;
  int64_t low_row_ = 0;
};

// Lists the points of position j that lie on the map, with their weights; returns how many.
template <class A>
int64_t collect_points(const PointArguments& a, const PointRow<A>& row, const LowMap<A>& low,
                       int64_t j, const A* weight, Buffer<Point<A>>& points) {
  int64_t count = 0;
  for (int64_t s = 0; s < a.points; ++s) {
    const Corners<A> corners = row.corners(j, s);
    if (!corners.inside()) continue;
    Point<A>& point = points[count++];
    corner_factors(point.factor, weight[s], corners);
    SAPA_UNROLL
    for (int k = 0; k < 4; ++k) point.low[k] = low.corner(corners, k);
  }
  return count;
}

template <class A>
void point_assemble_rows(const PointArguments& a, const LowMap<A>& low, int64_t n, int64_t g,
                         int64_t channel, int64_t channels, int64_t begin, int64_t end) {
  Rows<A> weight({a.weight, n, g, 0, a.points, a.x.high}, 1);
  Rows<A> high({a.high, n, g, channel, channels, a.x.high}, 1);
  PointRow<A> row(a, n, g);
  Buffer<Point<A>> points(a.points);
  for (int64_t i = begin; i < end; ++i) {
    row.read(i);
    weight.read(i, i + 1);
    const A* weights = weight.row(i);
    A* out = high.row(i);
    for (int64_t j = 0; j < a.x.high; ++j) {
      const int64_t count = collect_points(a, row, low, j, weights + j * weight.stride_x(), points);
      for_each_lane<A, 4>(channels, [&](auto lane, int64_t c) {
        using Lane = decltype(lane);
        Lane sum = Lane::zero();
        for (int64_t s = 0; s < count; ++s) {
          const Point<A>& point = points[s];
          point_assemble(sum, point.factor, [&](int k) { return Lane::load(point.low[k] + c); });
        }
        sum.store(out + j * high.stride_x() + c);
      });
    }
    high.write(i, i + 1);
  }
}

// Calls body(products with the four corners): of the channels in whole vectors, then of the others.
template <class A, class Body>
SAPA_HD void for_each_product(const A* high, A* const (&low)[4], int64_t channels,
                              const Body& body) {
  auto add = [&](auto zero, int64_t begin, int64_t end) {
    using Lane = decltype(zero);
    Lane dot[4] = {zero, zero, zero, zero};
    for (int64_t c = begin; c < end; c += Lane::kChannels) {
      corner_products(dot, Lane::load(high + c), [&](int k) { return Lane::load(low[k] + c); });
    }
    body(dot);
  };
  const int64_t vectors = channels / kVectorSize<A> * kVectorSize<A>;
  if (vectors > 0) add(VectorLane<A, 1>::zero(), 0, vectors);
  if (vectors < channels) add(ScalarLane<A>::zero(), vectors, channels);
}

// point_similarity, into the map `similarity`. Where SLOPES, point_gradients: that, and the
// derivative of weight * similarity by the offset.
template <class A, bool SLOPES>
void point_similarity_rows(const PointArguments& a, const Map& similarity, const LowMap<A>& low,
                           int64_t n, int64_t g, int64_t begin, int64_t end) {
  Rows<A> high({a.high, n, g, 0, a.channels, a.x.high}, 1);
  Rows<A> out({similarity, n, g, 0, a.points, a.x.high}, 1);
  Rows<A> weight({a.weight, n, g, 0, a.points, SLOPES ? a.x.high : 0}, 1);
  Rows<A> offset_grad({a.offset_grad, n, g, 0, 2 * a.points, SLOPES ? a.x.high : 0}, 1);
  PointRow<A> row(a, n, g);
  for (int64_t i = begin; i < end; ++i) {
    row.read(i);
    high.read(i, i + 1);
    if (SLOPES) weight.read(i, i + 1);
    for (int64_t j = 0; j < a.x.high; ++j) {
      const A* query = high.row(i) + j * high.stride_x();
      A* to = out.row(i) + j * out.stride_x();
      for (int64_t s = 0; s < a.points; ++s) {
        const Corners<A> corners = row.corners(j, s);
        A total = 0;
        A slope_x = 0;
        A slope_y = 0;
        A factor = 0;
        if (corners.inside()) {
          if (SLOPES) factor = weight.row(i)[j * weight.stride_x() + s];
          A* const at[4] = {low.corner(corners, 0), low.corner(corners, 1), low.corner(corners, 2),
                            low.corner(corners, 3)};
          for_each_product(query, at, a.channels, [&](const auto& dot) {
            total += point_similarity(dot, corners);
            if (SLOPES) {
              A x;
              A y;
              point_slopes(x, y, dot, corners);
              slope_x += x;
              slope_y += y;
            }
          });
        }
        to[s] = total;
        if (SLOPES) {
          A* grad = offset_grad.row(i) + j * offset_grad.stride_x() + 2 * s;
          grad[0] = factor * slope_x;
          grad[1] = factor * slope_y;
        }
      }
    }
    if (!SLOPES && a.softmax) {
      out.write_softmax(i, i + 1);
    } else {
      out.write(i, i + 1);
    }
    if (SLOPES) offset_grad.write(i, i + 1);
  }
}

// A single thread has these channels, so that a pixel's terms are always added in the same order.
template <class A>
void point_adjoint_channels(const PointArguments& a, int64_t n, int64_t g, int64_t channel,
                            int64_t channels) {
  LowMap<A> low(a, n, g, channel, channels);
  low.clear();
  Rows<A> weight({a.weight, n, g, 0, a.points, a.x.high}, 1);
  Rows<A> high({a.high, n, g, channel, channels, a.x.high}, 1);
  PointRow<A> row(a, n, g);
  Buffer<Point<A>> points(a.points);
  for (int64_t i = 0; i < a.y.high; ++i) {
    row.read(i);
    weight.read(i, i + 1);
    high.read(i, i + 1);
    for (int64_t j = 0; j < a.x.high; ++j) {
      const A* weights = weight.row(i) + j * weight.stride_x();
      const A* from = high.row(i) + j * high.stride_x();
      const int64_t count = collect_points(a, row, low, j, weights, points);
      for_each_lane<A, 4>(channels, [&](auto lane, int64_t c) {
        using Lane = decltype(lane);
        const Lane grad = Lane::load(from + c);
        for (int64_t s = 0; s < count; ++s) {
          const Point<A>& point = points[s];
          const auto add_to_low = [&](int k, A factor, const Lane& value) {
            Lane sum = Lane::load(point.low[k] + c);
            sum.add(factor, value);
            sum.store(point.low[k] + c);
          };
          point_adjoint(grad, point.factor, add_to_low);
        }
      });
    }
  }
  low.write();
}

// Rows that a thread takes at a time, group by group: neighbouring rows share low-res rows, and
// groups share cache lines.
constexpr int64_t kStripRows = 4;

// Calls body(low-res map, n, g, first channel, channels, first row, last row) for all of the
// output.
template <class A, class Body>
void for_each_strip(const PointArguments& a, int64_t block, const Parallel& parallel,
                    const Body& body) {
  const bool in_place = Part{a.low, 0, 0, 0, a.channels, a.x.low}.in_place<A>();
  for (int64_t n = 0; n < a.batch; ++n) {
    if (in_place) {
      parallel.for_each(a.y.high, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i += kStripRows) {
          for (int64_t g = 0; g < a.groups; ++g) {
            const LowMap<A> low(a, n, g, 0, a.channels);
            body(low, n, g, 0, a.channels, i, smaller(i + kStripRows, end));
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
