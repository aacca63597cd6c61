// The window operators on the CPU. A thread takes a run of low-res rows, and has buffers for the
// rows of the window and for those of the children.
#pragma once

#include "../common/window.h"
#include "kernels.h"
#include "lane.h"
#include "rows.h"

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

// How many taps of kChildren children, vectors of as many, or pixels of the adjoint registers hold.
constexpr int kRegisterBlock = kVectorBytes == 64 ? 4 : 2;

// Channels of a buffer, for maps that cannot be used in place.
constexpr int64_t kBlockChannels = 64;

// A run of low-res rows of some channels.
struct Run {
  int64_t n;
  int64_t g;
  int64_t channel;
  int64_t channels;
  int64_t begin;
  int64_t end;
};

// Splits [0, batch * groups * blocks of channels * rows) over the threads, and each thread's piece
// into runs.
template <class Body>
void for_each_run(const WindowArguments& a, int64_t block, const Parallel& parallel,
                  const Body& body) {
  const int64_t blocks = (a.channels + block - 1) / block;
  const int64_t rows = a.y.low;
  parallel.for_each(a.batch * a.groups * blocks * rows, [&](int64_t first, int64_t last) {
    while (first < last) {
      const int64_t begin = first % rows;
      const int64_t end = smaller(rows, begin + last - first);
      const int64_t part = first / rows;
      const int64_t channel = part % blocks * block;
      body(Run{part / blocks / a.groups, part / blocks % a.groups, channel,
               smaller(block, a.channels - channel), begin, end});
      first += end - begin;
    }
  });
}

template <class A>
int64_t high_block(const WindowArguments& a) {
  const bool in_place = Part{a.high, 0, 0, 0, a.channels, a.x.high}.in_place<A>();
  return in_place ? a.channels : smaller(a.channels, kBlockChannels);
}

// How many rows the children of some low-res rows have, at most.
inline int64_t child_rows(const WindowArguments& a, int64_t rows = 1) {
  return rows * ((a.y.high + a.y.low - 1) / a.y.low);
}

// A table of first_child, so that inner loops need not divide.
struct ChildTable {
  int64_t low;
  Buffer<int64_t> first;

  explicit ChildTable(const Axis& axis) : low(axis.low), first(axis.low + 1) {
    for (int64_t index = 0; index <= low; ++index) first[index] = axis.first_child(index);
  }
  int64_t first_child(int64_t index) const { return first[index]; }
};

template <class A>
void window_assemble_run(const WindowArguments& a, const Run& run) {
  const int64_t k = a.kernel_size;
  const int64_t block = high_block<A>(a);
  Rows<A> low({a.low, run.n, run.g, 0, a.channels, a.x.low}, k);
  Rows<A> weight({a.weight, run.n, run.g, 0, k * k, a.x.high}, child_rows(a));
  Rows<A> high({a.high, run.n, run.g, 0, block, a.x.high}, child_rows(a));
  Buffer<const A*> window(k);
  Buffer<int64_t> column(k + kChildren - 1);
  for (int64_t y = run.begin; y < run.end; ++y) {
    const Taps rows(y, k, a.y.low, a.border);
    const int64_t i_begin = a.y.first_child(y);
    const int64_t i_end = a.y.first_child(y + 1);
    low.read(rows.index(rows.begin), rows.index(rows.end - 1) + 1);
    weight.read(i_begin, i_end);
    for (int64_t dy = rows.begin; dy < rows.end; ++dy) window[dy] = low.row(rows.index(dy));

    for (int64_t channel = 0; channel < a.channels; channel += block) {
      const int64_t channels = smaller(block, a.channels - channel);
      high.select(channel, channels);
      for (int64_t x = 0; x < a.x.low; ++x) {
        const Taps taps(x, k, a.x.low, a.border);
        const Taps last(smaller(x + kChildren, a.x.low) - 1, k, a.x.low, a.border);
        // Maps of one size: pixels side by side are computed together, if no border is near.
        const bool side_by_side = a.y.ratio == 1 && a.x.ratio == 1 && taps.start >= 0 &&
                                  last.start == taps.start + kChildren - 1 &&
                                  last.start + k <= a.x.low;
        const int64_t columns = side_by_side ? k + kChildren - 1 : taps.end;
        for (int64_t dx = taps.begin; dx < columns; ++dx) {
          column[dx] = taps.index(dx) * low.stride_x() + channel;
        }
        const auto assemble = [&](auto step, auto children, const int64_t* i, const int64_t* j) {
          constexpr int STEP = decltype(step)::value;
          constexpr int CHILDREN = decltype(children)::value;
          const A* weights[CHILDREN];
          A* out[CHILDREN];
          SAPA_UNROLL
          for (int child = 0; child < CHILDREN; ++child) {
            weights[child] = weight.row(i[child]) + j[child] * weight.stride_x();
            out[child] = high.row(i[child]) + j[child] * high.stride_x();
          }
          for_each_lane<A, kRegisterBlock>(channels, [&](auto lane, int64_t c) {
            using Lane = decltype(lane);
            Lane sum[CHILDREN];
            SAPA_UNROLL
            for (int child = 0; child < CHILDREN; ++child) sum[child] = Lane::zero();
            window_assemble<STEP>(
                sum, rows, taps, k,
                [&](int64_t dy, int64_t dx) { return Lane::load(window[dy] + column[dx] + c); },
                [&](int64_t tap, int child) { return weights[child][tap]; });
            SAPA_UNROLL
            for (int child = 0; child < CHILDREN; ++child) sum[child].store(out[child] + c);
          });
        };
        if (side_by_side) {
          int64_t i[kChildren];
          int64_t j[kChildren];
          for (int child = 0; child < kChildren; ++child) {
            i[child] = i_begin;
            j[child] = x + child;
          }
          assemble(Constant<1>{}, Constant<kChildren>{}, i, j);
          x += kChildren - 1;
        } else {
          for_each_child(i_begin, i_end, a.x.first_child(x), a.x.first_child(x + 1),
                         [&](auto children, const int64_t* i, const int64_t* j) {
                           assemble(Constant<0>{}, children, i, j);
                         });
        }
      }
      high.write(i_begin, i_end);
    }
  }
}

// A tap of a window: where its key is, and its number.
template <class A>
struct Key {
  const A* data;
  int64_t tap;
};

// out[child][tap] = the inner products of CHILDREN queries with TAPS keys.
template <int TAPS, class A, int CHILDREN>
SAPA_HD void inner_products(const A* (&query)[CHILDREN], const Key<A>* keys, int64_t channels,
                            A* (&out)[CHILDREN]) {
  constexpr int kProducts = CHILDREN * TAPS;
  Dot<A> sum[CHILDREN][TAPS] = {};
  for_each_lane<A, 1>(channels, [&](auto lane, int64_t c) {
    using Lane = decltype(lane);
    window_similarity<Lane>(
        sum, [&](int t) { return Lane::load(keys[t].data + c); },
        [&](int child) { return Lane::load(query[child] + c); });
  });
  typename Dot<A>::Vector parts[kProducts];
  A totals[kProducts];
  SAPA_UNROLL
  for (int n = 0; n < kProducts; ++n) parts[n] = sum[n / TAPS][n % TAPS].parts;
  if constexpr (kProducts % kVectorSize<A> == 0) {
    SAPA_UNROLL
    for (int n = 0; n < kProducts; n += kVectorSize<A>) {
      store_as(totals + n, totals_of<A>(parts + n));
    }
  } else {
    SAPA_UNROLL
    for (int n = 0; n < kProducts; ++n) totals[n] = total_of<A, kVectorBytes>(parts[n]);
  }
  SAPA_UNROLL
  for (int n = 0; n < kProducts; ++n) out[n / TAPS][keys[n % TAPS].tap] = totals[n];
}

template <class A>
void window_similarity_run(const WindowArguments& a, const Run& run) {
  const int64_t k = a.kernel_size;
  Rows<A> low({a.low, run.n, run.g, 0, a.channels, a.x.low}, k);
  Rows<A> high({a.high, run.n, run.g, 0, a.channels, a.x.high}, child_rows(a));
  Rows<A> weight({a.weight, run.n, run.g, 0, k * k, a.x.high}, child_rows(a));
  Buffer<const A*> window(k);
  Buffer<Key<A>> keys(k * k);
  for (int64_t y = run.begin; y < run.end; ++y) {
    const Taps rows(y, k, a.y.low, a.border);
    const int64_t i_begin = a.y.first_child(y);
    const int64_t i_end = a.y.first_child(y + 1);
    low.read(rows.index(rows.begin), rows.index(rows.end - 1) + 1);
    high.read(i_begin, i_end);
    for (int64_t dy = rows.begin; dy < rows.end; ++dy) window[dy] = low.row(rows.index(dy));

    for (int64_t x = 0; x < a.x.low; ++x) {
      const Taps taps(x, k, a.x.low, a.border);
      int64_t count = 0;
      for (int64_t dy = rows.begin; dy < rows.end; ++dy) {
        for (int64_t dx = taps.begin; dx < taps.end; ++dx) {
          keys[count++] = {window[dy] + taps.index(dx) * low.stride_x(), dy * k + dx};
        }
      }
      const auto compare = [&](auto children, const int64_t* i, const int64_t* j) {
        constexpr int CHILDREN = decltype(children)::value;
        const A* query[CHILDREN];
        A* out[CHILDREN];
        SAPA_UNROLL
        for (int child = 0; child < CHILDREN; ++child) {
          query[child] = high.row(i[child]) + j[child] * high.stride_x();
          out[child] = weight.row(i[child]) + j[child] * weight.stride_x();
          if (count < k * k) {
            for (int64_t tap = 0; tap < k * k; ++tap) out[child][tap] = 0;
          }
        }
        constexpr int kTaps = kRegisterBlock * kChildren / CHILDREN;
        int64_t n = 0;
        for (; n + kTaps <= count; n += kTaps) {
          inner_products<kTaps>(query, &keys[n], a.channels, out);
        }
        for (; n < count; ++n) inner_products<1>(query, &keys[n], a.channels, out);
      };
      for_each_child(i_begin, i_end, a.x.first_child(x), a.x.first_child(x + 1), compare);
    }
    if (a.softmax) {
      weight.write_softmax(i_begin, i_end);
    } else {
      weight.write(i_begin, i_end);
    }
  }
}

// Whether the pixels from x on are kRegisterBlock whose windows are those at most K/2 away, neither
// clamped nor shifted: each reads them with tap = pixel - centre + K/2.
inline bool are_plain(const WindowArguments& a, int64_t x) {
  if (x + kRegisterBlock > a.x.low) return false;
  if (a.border == Border::kZeros) return true;
  const int64_t margin = a.border == Border::kShift ? a.kernel_size : 1;
  return x >= margin && x + kRegisterBlock <= a.x.low - margin;
}

// The adjoint at kRegisterBlock such pixels, of the children of the rows [p_begin, p_end): what is
// loaded serves all of them. high(i, j) is a lane, weight(i, j) has the taps.
template <class Lane, class High, class Weight>
SAPA_HD void add_adjoints(Lane (&sum)[kRegisterBlock], const Windows& rows, int64_t x,
                          int64_t kernel_size, const ChildTable& axis_y, const ChildTable& axis_x,
                          const High& high, const Weight& weight) {
  const int64_t radius = kernel_size / 2;
  const int64_t begin = larger<int64_t>(0, x - radius);
  const int64_t end = smaller(axis_x.low, x + kRegisterBlock + radius);
  for (int64_t py = rows.begin; py < rows.end; ++py) {
    for (int64_t i = axis_y.first_child(py); i < axis_y.first_child(py + 1); ++i) {
      for (int64_t px = begin; px < end; ++px) {
        const int64_t dx = x + radius - px;  // the first pixel's; the others follow
        const int64_t first_tap = rows.tap(py) * kernel_size + dx;
        const bool all = dx >= 0 && dx + kRegisterBlock <= kernel_size;
        for (int64_t j = axis_x.first_child(px); j < axis_x.first_child(px + 1); ++j) {
          const Lane value = high(i, j);
          const auto* const taps = weight(i, j);
          SAPA_UNROLL
          for (int q = 0; q < kRegisterBlock; ++q) {
            if (all || (dx + q >= 0 && dx + q < kernel_size))
              sum[q].add(taps[first_tap + q], value);
          }
        }
      }
    }
  }
}

template <class A>
void window_adjoint_run(const WindowArguments& a, const ChildTable& axis_y,
                        const ChildTable& axis_x, const Run& run) {
  const int64_t k = a.kernel_size;
  // So many windows have a pixel: shifted ones from farther away.
  const int64_t windows = a.border == Border::kShift ? 2 * k - 1 : k;
  const int64_t capacity = child_rows(a, smaller(windows, a.y.low));
  Rows<A> low({a.low, run.n, run.g, run.channel, run.channels, a.x.low}, 1);
  Rows<A> weight({a.weight, run.n, run.g, 0, k * k, a.x.high}, capacity);
  // The cache has room for few addresses as far apart as pixels with more channels in between.
  const Part part{a.high, run.n, run.g, run.channel, run.channels, a.x.high};
  const bool dense = part.in_place<A>() && a.high.stride_x <= run.channels;
  Rows<A> high(part, capacity, dense);
  Buffer<const A*> weight_rows(capacity);
  Buffer<const A*> high_rows(capacity);
  for (int64_t y = run.begin; y < run.end; ++y) {
    const Windows rows(y, k, a.y.low, a.border);
    const int64_t i_begin = axis_y.first_child(rows.begin);
    const int64_t i_end = axis_y.first_child(rows.end);
    weight.read(i_begin, i_end);
    high.read(i_begin, i_end);
    for (int64_t i = i_begin; i < i_end; ++i) {
      weight_rows[i - i_begin] = weight.row(i);
      high_rows[i - i_begin] = high.row(i);
    }
    const Places places(y, k, a.y.low, a.border);
    const auto weight_at = [&](int64_t i, int64_t j) {
      return weight_rows[i - i_begin] + j * weight.stride_x();
    };
    int64_t x = 0;
    for (A* out = low.row(y); x < a.x.low;) {
      const bool plain = are_plain(a, x);
      for_each_lane<A, 4>(run.channels, [&](auto lane, int64_t c) {
        using Lane = decltype(lane);
        const auto high_at = [&](int64_t i, int64_t j) {
          return Lane::load(high_rows[i - i_begin] + j * high.stride_x() + c);
        };
        if (plain) {
          Lane sum[kRegisterBlock];
          SAPA_UNROLL
          for (int q = 0; q < kRegisterBlock; ++q) sum[q] = Lane::zero();
          for (int place = 0; place < places.count; ++place) {
            const Windows own(places.begin + place, k, a.y.low, a.border);
            add_adjoints(sum, own, x, k, axis_y, axis_x, high_at, weight_at);
          }
          SAPA_UNROLL
          for (int q = 0; q < kRegisterBlock; ++q) sum[q].store(out + q * low.stride_x() + c);
        } else {
          Lane sum = Lane::zero();
          window_adjoint(sum, y, x, axis_y, axis_x, k, a.border, high_at,
                         [&](int64_t i, int64_t j, int64_t tap) { return weight_at(i, j)[tap]; });
          sum.store(out + c);
        }
      });
      x += plain ? kRegisterBlock : 1;
      out += (plain ? kRegisterBlock : 1) * low.stride_x();
    }
    low.write(y, y + 1);
  }
}

template <class A>
struct WindowKernels {
  static void similarity(const WindowArguments& a, const Parallel& parallel) {
    for_each_run(a, a.channels, parallel,
                 [&](const Run& run) { window_similarity_run<A>(a, run); });
  }
  static void assemble(const WindowArguments& a, const Parallel& parallel) {
    for_each_run(a, a.channels, parallel, [&](const Run& run) { window_assemble_run<A>(a, run); });
  }
  static void adjoint(const WindowArguments& a, const Parallel& parallel) {
    const ChildTable rows(a.y);
    const ChildTable columns(a.x);
    for_each_run(a, smaller(a.channels, kBlockChannels), parallel,
                 [&](const Run& run) { window_adjoint_run<A>(a, rows, columns, run); });
  }
};

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
