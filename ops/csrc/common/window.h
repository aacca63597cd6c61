// What one low-res pixel does in the window operators. A Lane is some channels at once: a SIMD
// vector on the CPU, a 16-byte load on the GPU.
#pragma once

#include "geometry.h"

namespace sapa {

// How many children of a pixel are computed together.
constexpr int kChildren = 4;

// Calls body(their number as a Constant, rows, columns) for all children of a pixel: kChildren at a
// time while that many are left, then one by one.
template <class Body>
SAPA_HD void for_each_child(int64_t i_begin, int64_t i_end, int64_t j_begin, int64_t j_end,
                            const Body& body) {
  int64_t left = (i_end - i_begin) * (j_end - j_begin);
  int64_t next_i = i_begin;
  int64_t next_j = j_begin;
  auto take = [&](int64_t& i, int64_t& j) {
    i = next_i;
    j = next_j;
    if (++next_j == j_end) {
      next_j = j_begin;
      ++next_i;
    }
  };
  int64_t i[kChildren];
  int64_t j[kChildren];
  for (; left >= kChildren; left -= kChildren) {
    SAPA_UNROLL
    for (int child = 0; child < kChildren; ++child) take(i[child], j[child]);
    body(Constant<kChildren>{}, i, j);
  }
  for (; left > 0; --left) {
    take(i[0], j[0]);
    body(Constant<1>{}, i, j);
  }
}

// sum[child] += sum over taps of weight(tap, child) * low(dy, dx): each value that is loaded serves
// all children of the pixel. With STEP 1 they are children of pixels side by side, whose windows
// have all their columns: that of the next child begins one further right.
template <int STEP = 0, class Lane, int CHILDREN, class Low, class Weight>
SAPA_HD void window_assemble(Lane (&sum)[CHILDREN], const Taps& rows, const Taps& columns,
                             int64_t kernel_size, const Low& low, const Weight& weight) {
  for (int64_t dy = rows.begin; dy < rows.end; ++dy) {
    for (int64_t column = columns.begin; column < columns.end + STEP * (CHILDREN - 1); ++column) {
      const Lane value = low(dy, column);
      SAPA_UNROLL
      for (int child = 0; child < CHILDREN; ++child) {
        const int64_t dx = column - STEP * child;
        if (STEP != 0 && (dx < 0 || dx >= kernel_size)) continue;
        sum[child].add(weight(dy * kernel_size + dx, child), value);
      }
    }
  }
}

// sum[child][tap] += high(child) * low(tap), over the channels of a lane.
template <class Lane, class Sum, int CHILDREN, int TAPS, class Low, class High>
SAPA_HD void window_similarity(Sum (&sum)[CHILDREN][TAPS], const Low& low, const High& high) {
  Lane query[CHILDREN];
  SAPA_UNROLL
  for (int child = 0; child < CHILDREN; ++child) query[child] = high(child);
  SAPA_UNROLL
  for (int tap = 0; tap < TAPS; ++tap) {
    const Lane key = low(tap);
    SAPA_UNROLL
    for (int child = 0; child < CHILDREN; ++child) sum[child][tap].add(query[child], key);
  }
}

// sum += weight(i, j, tap) * high(i, j), over all high-res (i, j) and their taps that read the
// low-res (y, x). An axis is an Axis, or a table of it.
template <class Lane, class AnyAxis, class High, class Weight>
SAPA_HD void window_adjoint(Lane& sum, int64_t y, int64_t x, const AnyAxis& axis_y,
                            const AnyAxis& axis_x, int64_t kernel_size, Border border,
                            const High& high, const Weight& weight) {
  const Places ys(y, kernel_size, axis_y.low, border);
  const Places xs(x, kernel_size, axis_x.low, border);
  // One loop over both: two would take more registers than a GPU's threads have.
  const int places = ys.count * xs.count;
  for (int place = 0; place < places; ++place) {
    const int row = xs.count == 1 ? place : place / xs.count;
    const int column = xs.count == 1 ? 0 : place % xs.count;
    const Windows rows(ys.begin + row, kernel_size, axis_y.low, border);
    const Windows columns(xs.begin + column, kernel_size, axis_x.low, border);
    int64_t i = axis_y.first_child(rows.begin);
    for (int64_t py = rows.begin; py < rows.end; ++py) {
      const int64_t first_tap = rows.tap(py) * kernel_size;
      for (const int64_t i_end = axis_y.first_child(py + 1); i < i_end; ++i) {
        int64_t j = axis_x.first_child(columns.begin);
        for (int64_t px = columns.begin; px < columns.end; ++px) {
          const int64_t tap = first_tap + columns.tap(px);
          const int64_t j_end = axis_x.first_child(px + 1);
          for (; j < j_end; ++j) sum.add(weight(i, j, tap), high(i, j));
        }
      }
    }
  }
}

}  // namespace sapa
