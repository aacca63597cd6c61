// Where a high-res position lies on the low-res map, along one axis.
#pragma once

#include "host_device.h"

namespace sapa {

// floor(a / b) for a >= 0. 64-bit division is slow, and nearly never needed.
SAPA_HD int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}

// A low-res axis and the high-res axis above it; high >= low >= 1.
struct Axis {
  int64_t low;
  int64_t high;
  int64_t ratio;  // the whole s with low == ceil(high / s), else 0

  SAPA_HD Axis(int64_t low_size, int64_t high_size)
      : low(low_size), high(high_size), ratio((high_size - 1) / low_size + 1) {
    if ((high - 1) / ratio + 1 != low) ratio = 0;
  }

  // Low-res index of a high-res one: i / s, or else floor((i + 0.5) * low / high).
  SAPA_HD int64_t low_index(int64_t i) const {
    return ratio ? quotient(i, ratio) : quotient((2 * i + 1) * low, 2 * high);
  }

  // The smallest i with low_index(i) >= index: the children of an index are
  // [first_child(index), first_child(index + 1)). Where s rounded up, the last index has fewer.
  SAPA_HD int64_t first_child(int64_t index) const {
    return ratio ? smaller(index * ratio, high) : quotient(2 * high * index + low - 1, low) / 2;
  }
};

// What a tap outside the map reads: nothing, which counts 0, or the nearest pixel; or the whole
// window is shifted onto the map, which is no smaller.
enum class Border { kZeros, kReplicate, kShift };

// Where a window begins along one axis.
SAPA_HD int64_t window_start(int64_t centre, int64_t kernel_size, int64_t size, Border border) {
  const int64_t start = centre - kernel_size / 2;
  if (border != Border::kShift) return start;
  return larger<int64_t>(0, smaller(start, size - kernel_size));
}

// The taps of a window along one axis that read the map: [begin, end).
struct Taps {
  int64_t start;
  int64_t last;  // index on the map
  int64_t begin;
  int64_t end;

  SAPA_HD Taps(int64_t centre, int64_t kernel_size, int64_t size, Border border)
      : start(window_start(centre, kernel_size, size, border)),
        last(size - 1),
        begin(0),
        end(kernel_size) {
    if (border != Border::kZeros) return;
    begin = larger<int64_t>(0, -start);
    end = smaller(kernel_size, size - start);
  }

  // What a tap reads.
  SAPA_HD int64_t index(int64_t tap) const {
    return larger<int64_t>(0, smaller(start + tap, last));
  }
};

// The way back: where taps along one axis lie that read an index, from `begin` on. It is the index,
// and what is beyond a border that is replicated.
struct Places {
  int64_t begin;
  int count;

  SAPA_HD Places(int64_t index, int64_t kernel_size, int64_t size, Border border)
      : begin(index), count(1) {
    if (border != Border::kReplicate) return;
    const int radius = static_cast<int>(kernel_size / 2);
    if (index == 0) begin -= radius;
    count += radius * ((index == 0) + (index == size - 1));
  }
};

// The windows along one axis that have a tap at a place, by their centres, [begin, end).
struct Windows {
  int64_t place;
  int64_t kernel_size;
  int64_t size;
  Border border;
  int64_t begin;
  int64_t end;

  SAPA_HD Windows(int64_t place_, int64_t kernel_size_, int64_t size_, Border border_)
      : place(place_),
        kernel_size(kernel_size_),
        size(size_),
        border(border_),
        begin(larger<int64_t>(0, place - kernel_size / 2)),
        end(smaller(size, place + kernel_size / 2 + 1)) {
    if (border != Border::kShift) return;
    // So do all that were shifted to the first or to the last place of a window.
    if (place < kernel_size) begin = 0;
    if (place >= size - kernel_size) end = size;
  }

  SAPA_HD int64_t tap(int64_t centre) const {
    return place - window_start(centre, kernel_size, size, border);
  }
};

}  // namespace sapa
