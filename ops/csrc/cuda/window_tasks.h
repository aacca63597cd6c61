// What one GPU thread does in the window operators. Plain C++: the tests run it on the CPU too.
#pragma once

#include "../common/window.h"
#include "lane.h"

namespace sapa {
namespace cuda {

// One low-res pixel and one lane of channels: all children share what is loaded.
template <class T, bool VECTOR>
struct WindowAssemble {
  using A = Accumulator<T>;
  using Access = Channels<T, VECTOR>;
  using Lane = typename Access::Lane;
  WindowArguments a;

  int64_t threads() const { return a.batch * a.groups * lanes<T>(a.channels) * a.y.low * a.x.low; }

  SAPA_HD void operator()(int64_t index) const {
    const int64_t k = a.kernel_size;
    const int64_t lane_count = (a.channels + kPack<T> - 1) / kPack<T>;
    const Position p(index, VECTOR, a.groups, lane_count, a.y.low, a.x.low);
    const int64_t channel = p.lane * kPack<T>;
    const int64_t left = a.channels - channel;
    const Taps rows(p.y, k, a.y.low, a.border);
    const Taps columns(p.x, k, a.x.low, a.border);
    const int64_t low = a.low.offset(p.n, p.g, channel, 0, 0);
    const int64_t high = a.high.offset(p.n, p.g, channel, 0, 0);
    const int64_t weight = a.weight.offset(p.n, p.g, 0, 0, 0);
    for_each_child(
        a.y.first_child(p.y), a.y.first_child(p.y + 1), a.x.first_child(p.x),
        a.x.first_child(p.x + 1), [&](auto children, const int64_t* i, const int64_t* j) {
          constexpr int CHILDREN = decltype(children)::value;
          Lane sum[CHILDREN];
          int64_t weights[CHILDREN];
          SAPA_UNROLL
          for (int child = 0; child < CHILDREN; ++child) {
            sum[child] = Lane::zero();
            weights[child] = weight + a.weight.offset(0, 0, 0, i[child], j[child]);
          }
          sapa::window_assemble(
              sum, rows, columns, k,
              [&](int64_t dy, int64_t dx) {
                const int64_t at = a.low.offset(0, 0, 0, rows.index(dy), columns.index(dx));
                return Access::load(a.low.data, low + at, a.low.stride_c, left);
              },
              [&](int64_t tap, int child) {
                return load_one<T>(a.weight, weights[child] + tap * a.weight.stride_c);
              });
          SAPA_UNROLL
          for (int child = 0; child < CHILDREN; ++child) {
            Access::store(sum[child], a.high.data,
                          high + a.high.offset(0, 0, 0, i[child], j[child]), a.high.stride_c, left);
          }
        });
  }
};

// One low-res pixel and TAPS taps of one row of its window. kThreads threads share the channels:
// each has a partial sum, and reduce() makes their total.
template <class T, bool VECTOR, int TAPS>
struct WindowSimilarity {
  using A = Accumulator<T>;
  using Access = Channels<T, VECTOR>;
  using Lane = typename Access::Lane;
  static constexpr int kThreads = VECTOR ? (sizeof(T) == 2 ? 4 : 8) : 1;
  WindowArguments a;

  int64_t items() const {
    return a.batch * a.groups * a.kernel_size * (a.kernel_size / TAPS) * a.y.low * a.x.low;
  }

  // Calls reduce(partial sum) for each child and tap, which makes it the total and says whether
  // this thread writes it.
  template <class Reduce>
  SAPA_HD void operator()(int64_t index, int thread, const Reduce& reduce) const {
    const int64_t k = a.kernel_size;
    // Taps take the place of the lanes.
    const Position p(index, VECTOR, a.groups, k * (k / TAPS), a.y.low, a.x.low);
    const int64_t dy = p.lane / (k / TAPS);
    const int64_t dx = p.lane % (k / TAPS) * TAPS;
    const Taps rows(p.y, k, a.y.low, a.border);
    const Taps columns(p.x, k, a.x.low, a.border);
    const int64_t y = rows.index(dy);
    const bool row_inside = dy >= rows.begin && dy < rows.end;
    const auto inside = [&](int tap) {
      return row_inside && dx + tap >= columns.begin && dx + tap < columns.end;
    };
    for_each_child(
        a.y.first_child(p.y), a.y.first_child(p.y + 1), a.x.first_child(p.x),
        a.x.first_child(p.x + 1), [&](auto children, const int64_t* i, const int64_t* j) {
          constexpr int CHILDREN = decltype(children)::value;
          Sum<A> sum[CHILDREN][TAPS] = {};
          for (int64_t c = thread * kPack<T>; c < a.channels; c += kThreads * kPack<T>) {
            const int64_t left = a.channels - c;
            sapa::window_similarity<Lane>(
                sum,
                [&](int tap) {
                  if (!inside(tap)) return Lane::zero();
                  return Access::load(a.low.data,
                                      a.low.offset(p.n, p.g, c, y, columns.index(dx + tap)),
                                      a.low.stride_c, left);
                },
                [&](int child) {
                  return Access::load(a.high.data, a.high.offset(p.n, p.g, c, i[child], j[child]),
                                      a.high.stride_c, left);
                });
          }
          SAPA_UNROLL
          for (int child = 0; child < CHILDREN; ++child) {
            SAPA_UNROLL
            for (int tap = 0; tap < TAPS; ++tap) {
              if (!reduce(sum[child][tap].v)) continue;
              // Not the sum, where a query that is not finite met the zeros.
              store_score<T>(a.weight,
                             a.weight.offset(p.n, p.g, dy * k + dx + tap, i[child], j[child]),
                             inside(tap) ? sum[child][tap].v : A(0));
            }
          }
        });
  }
};

// One low-res pixel and one lane: gathers from all positions whose window contains it.
template <class T, bool VECTOR>
struct WindowAdjoint {
  using A = Accumulator<T>;
  using Access = Channels<T, VECTOR>;
  using Lane = typename Access::Lane;
  WindowArguments a;

  int64_t threads() const { return a.batch * a.groups * lanes<T>(a.channels) * a.y.low * a.x.low; }

  SAPA_HD void operator()(int64_t index) const {
    const int64_t lane_count = (a.channels + kPack<T> - 1) / kPack<T>;
    const Position p(index, VECTOR, a.groups, lane_count, a.y.low, a.x.low);
    const int64_t channel = p.lane * kPack<T>;
    const int64_t left = a.channels - channel;
    const int64_t high = a.high.offset(p.n, p.g, channel, 0, 0);
    const int64_t weight = a.weight.offset(p.n, p.g, 0, 0, 0);
    Lane sum = Lane::zero();
    sapa::window_adjoint(
        sum, p.y, p.x, a.y, a.x, a.kernel_size, a.border,
        [&](int64_t i, int64_t j) {
          return Access::load(a.high.data, high + a.high.offset(0, 0, 0, i, j), a.high.stride_c,
                              left);
        },
        [&](int64_t i, int64_t j, int64_t tap) {
          return load_one<T>(a.weight, weight + a.weight.offset(0, 0, tap, i, j));
        });
    Access::store(sum, a.low.data, a.low.offset(p.n, p.g, channel, p.y, p.x), a.low.stride_c, left);
  }
};

// Launches the task that fits the arguments.
template <class T>
struct WindowTasks {
  static bool vector(const WindowArguments& a) {
    return is_vector<T>(a.low, a.channels) && is_vector<T>(a.high, a.channels);
  }

  template <class Launch>
  static auto assemble(const WindowArguments& a, const Launch& launch) {
    return vector(a) ? launch(WindowAssemble<T, true>{a}) : launch(WindowAssemble<T, false>{a});
  }

  template <class Launch>
  static auto adjoint(const WindowArguments& a, const Launch& launch) {
    return vector(a) ? launch(WindowAdjoint<T, true>{a}) : launch(WindowAdjoint<T, false>{a});
  }

  template <class Launch>
  static auto similarity(const WindowArguments& a, const Launch& launch) {
    return vector(a) ? similarity<true>(a, launch) : similarity<false>(a, launch);
  }

 private:
  template <bool VECTOR, class Launch>
  static auto similarity(const WindowArguments& a, const Launch& launch) {
    if (a.kernel_size % 5 == 0) return launch.shared(WindowSimilarity<T, VECTOR, 5>{a});
    if (a.kernel_size % 3 == 0) return launch.shared(WindowSimilarity<T, VECTOR, 3>{a});
    return launch.shared(WindowSimilarity<T, VECTOR, 1>{a});
  }
};

}  // namespace cuda
}  // namespace sapa
