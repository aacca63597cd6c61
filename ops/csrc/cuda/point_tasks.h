// What one GPU thread does in the point operators. Plain C++: the tests run it on the CPU too.
#pragma once

#include "../common/point.h"
#include "lane.h"

namespace sapa {
namespace cuda {

template <class A>
SAPA_HD void add_to(A* to, A value) {
#ifdef __CUDA_ARCH__
  atomicAdd(to, value);
#else
  *to += value;
#endif
}

// Adds a lane to memory of the accumulator's type.
template <class Lane, class A>
SAPA_HD void add_lane(A* to, int64_t stride, int64_t channels, A factor, const Lane& lane) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if constexpr (sizeof(A) == 4 && Lane::kChannels % 4 == 0) {
    if (stride == 1 && channels >= Lane::kChannels && reinterpret_cast<uintptr_t>(to) % 16 == 0) {
      SAPA_UNROLL
      for (int k = 0; k < Lane::kChannels; k += 4) {
        atomicAdd(reinterpret_cast<float4*>(to + k),
                  make_float4(factor * lane.v[k], factor * lane.v[k + 1], factor * lane.v[k + 2],
                              factor * lane.v[k + 3]));
      }
      return;
    }
  }
#endif
  SAPA_UNROLL
  for (int k = 0; k < Lane::kChannels; ++k) {
    if (k < channels) add_to(to + k * stride, factor * lane.v[k]);
  }
}

template <class T>
SAPA_HD Corners<Accumulator<T>> corners_at(const PointArguments& a, int64_t n, int64_t g,
                                           int64_t point, int64_t i, int64_t j) {
  const int64_t at = a.offset.offset(n, g, 2 * point, i, j);
  return {a.y.low_index(i),
          load_one<T>(a.offset, at + a.offset.stride_c),
          a.y.low,
          a.x.low_index(j),
          load_one<T>(a.offset, at),
          a.x.low};
}

template <class A>
SAPA_HD int64_t corner_offset(const Map& low, const Corners<A>& corners, int k) {
  return low.offset(0, 0, 0, corners.y.index[k / 2], corners.x.index[k % 2]);
}

// One high-res position and one lane of channels.
template <class T, bool VECTOR>
struct PointAssemble {
  using A = Accumulator<T>;
  using Access = Channels<T, VECTOR>;
  using Lane = typename Access::Lane;
  PointArguments a;

  int64_t threads() const {
    return a.batch * a.groups * lanes<T>(a.channels) * a.y.high * a.x.high;
  }

  SAPA_HD void operator()(int64_t index) const {
    const int64_t lane_count = (a.channels + kPack<T> - 1) / kPack<T>;
    const Position p(index, VECTOR, a.groups, lane_count, a.y.high, a.x.high);
    const int64_t channel = p.lane * kPack<T>;
    const int64_t left = a.channels - channel;
    const int64_t low = a.low.offset(p.n, p.g, channel, 0, 0);
    Lane sum = Lane::zero();
    for (int64_t s = 0; s < a.points; ++s) {
      const auto corners = corners_at<T>(a, p.n, p.g, s, p.y, p.x);
      if (!corners.inside()) continue;
      A factor[4];
      corner_factors(factor, load_one<T>(a.weight, a.weight.offset(p.n, p.g, s, p.y, p.x)),
                     corners);
      sapa::point_assemble(sum, factor, [&](int k) {
        return Access::load(a.low.data, low + corner_offset(a.low, corners, k), a.low.stride_c,
                            left);
      });
    }
    Access::store(sum, a.high.data, a.high.offset(p.n, p.g, channel, p.y, p.x), a.high.stride_c,
                  left);
  }
};

// One point. Its threads share the channels: each has a partial sum, and reduce() makes their
// total. point_similarity writes it to a.weight. Where SLOPES, point_gradients: reads a.weight,
// writes a.weight_grad (the similarity) and a.offset_grad.
template <class T, bool VECTOR, bool SLOPES>
struct PointSimilarity {
  using A = Accumulator<T>;
  using Access = Channels<T, VECTOR>;
  static constexpr int kThreads = VECTOR ? (sizeof(T) == 2 ? 4 : 8) : 1;
  PointArguments a;

  int64_t items() const { return a.batch * a.groups * a.points * a.y.high * a.x.high; }

  template <class Reduce>
  SAPA_HD void operator()(int64_t index, int thread, const Reduce& reduce) const {
    // Points take the place of the lanes.
    const Position p(index, VECTOR, a.groups, a.points, a.y.high, a.x.high);
    const auto corners = corners_at<T>(a, p.n, p.g, p.lane, p.y, p.x);
    // Of the query with the corners, or with the sample.
    Sum<A> sum[SLOPES ? 4 : 1] = {};
    A weight[4];
    corner_factors(weight, A(1), corners);
    if (corners.inside()) {
      for (int64_t c = thread * kPack<T>; c < a.channels; c += kThreads * kPack<T>) {
        const int64_t left = a.channels - c;
        const int64_t low = a.low.offset(p.n, p.g, c, 0, 0);
        const auto query =
            Access::load(a.high.data, a.high.offset(p.n, p.g, c, p.y, p.x), a.high.stride_c, left);
        const auto at_corner = [&](int k) {
          return Access::load(a.low.data, low + corner_offset(a.low, corners, k), a.low.stride_c,
                              left);
        };
        if constexpr (SLOPES) {
          sapa::corner_products(sum, query, at_corner);
        } else {
          auto sample = Access::Lane::zero();
          sapa::point_assemble(sample, weight, at_corner);
          sum[0].add(query, sample);
        }
      }
    }
    const auto put = [&](const Map& to, A similarity) {
      if (reduce(similarity)) {
        store_score<T>(to, to.offset(p.n, p.g, p.lane, p.y, p.x), similarity);
      }
    };
    if constexpr (SLOPES) {
      const A dot[4] = {sum[0].v, sum[1].v, sum[2].v, sum[3].v};
      put(a.weight_grad, sapa::point_similarity(dot, corners));
      A slope_x;
      A slope_y;
      sapa::point_slopes(slope_x, slope_y, dot, corners);
      reduce(slope_x);
      if (reduce(slope_y)) {
        // A weight that is not finite must not meet the slopes of 0 outside.
        const int64_t at = a.weight.offset(p.n, p.g, p.lane, p.y, p.x);
        const A own = corners.inside() ? load_one<T>(a.weight, at) : A(0);
        const int64_t grad = a.offset_grad.offset(p.n, p.g, 2 * p.lane, p.y, p.x);
        store_one<T>(a.offset_grad, grad, own * slope_x);
        store_one<T>(a.offset_grad, grad + a.offset_grad.stride_c, own * slope_y);
      }
    } else {
      put(a.weight, sum[0].v);
    }
  }
};

// One high-res position and one lane: adds to a.low, which is of the accumulator's type.
template <class T, bool VECTOR>
struct PointAdjoint {
  using A = Accumulator<T>;
  using Access = Channels<T, VECTOR>;
  PointArguments a;

  int64_t threads() const {
    return a.batch * a.groups * lanes<T>(a.channels) * a.y.high * a.x.high;
  }

  SAPA_HD void operator()(int64_t index) const {
    const int64_t lane_count = (a.channels + kPack<T> - 1) / kPack<T>;
    const Position p(index, VECTOR, a.groups, lane_count, a.y.high, a.x.high);
    const int64_t channel = p.lane * kPack<T>;
    const int64_t left = a.channels - channel;
    A* low = static_cast<A*>(a.low.data) + a.low.offset(p.n, p.g, channel, 0, 0);
    const auto high = Access::load(a.high.data, a.high.offset(p.n, p.g, channel, p.y, p.x),
                                   a.high.stride_c, left);
    for (int64_t s = 0; s < a.points; ++s) {
      const auto corners = corners_at<T>(a, p.n, p.g, s, p.y, p.x);
      if (!corners.inside()) continue;
      A factor[4];
      corner_factors(factor, load_one<T>(a.weight, a.weight.offset(p.n, p.g, s, p.y, p.x)),
                     corners);
      const auto add_to_low = [&](int k, A corner_factor, const auto& value) {
        add_lane(low + corner_offset(a.low, corners, k), a.low.stride_c, left, corner_factor,
                 value);
      };
      sapa::point_adjoint(high, factor, add_to_low);
    }
  }
};

// Launches the task that fits the arguments.
template <class T>
struct PointTasks {
  template <class Launch>
  static auto assemble(const PointArguments& a, const Launch& launch) {
    return vector(a) ? launch(PointAssemble<T, true>{a}) : launch(PointAssemble<T, false>{a});
  }

  template <class Launch>
  static auto similarity(const PointArguments& a, const Launch& launch) {
    return vector(a) ? launch.shared(PointSimilarity<T, true, false>{a})
                     : launch.shared(PointSimilarity<T, false, false>{a});
  }

  template <class Launch>
  static auto gradients(const PointArguments& a, const Launch& launch) {
    return vector(a) ? launch.shared(PointSimilarity<T, true, true>{a})
                     : launch.shared(PointSimilarity<T, false, true>{a});
  }

  // a.low is of the accumulator's type and starts at 0.
  template <class Launch>
  static auto adjoint(const PointArguments& a, const Launch& launch) {
    return is_vector<T>(a.high, a.channels) ? launch(PointAdjoint<T, true>{a})
                                            : launch(PointAdjoint<T, false>{a});
  }

 private:
  static bool vector(const PointArguments& a) {
    return is_vector<T>(a.low, a.channels) && is_vector<T>(a.high, a.channels);
  }
};

}  // namespace cuda
}  // namespace sapa
