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

// The taps of a window along one axis that lie on the map: [begin, end).
struct Taps {
  int64_t begin;
  int64_t end;

  SAPA_HD Taps(int64_t centre, int64_t kernel_size, int64_t size)
      : begin(larger<int64_t>(0, kernel_size / 2 - centre)),
        end(smaller<int64_t>(kernel_size, size - centre + kernel_size / 2)) {}
};

}  // namespace sapa
