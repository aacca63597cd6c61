// The corners around a sampled point, with zero padding.
#pragma once

#include "host_device.h"

namespace sapa {

SAPA_HD float floor_of(float x) { return __builtin_floorf(x); }
SAPA_HD double floor_of(double x) { return __builtin_floor(x); }

// The two neighbours of a point along one axis.
template <class A>
struct Neighbours {
  bool inside;        // in the open interval (-1, size)
  int64_t index[2];   // clamped to the map
  A weight[2];        // 0 for a neighbour in the padding
  A slope[2];         // derivative of the weight by the offset

  // The point is at index + offset. Taking the floor of the offset alone keeps the fraction exact,
  // and comparing before the conversion keeps infinities and NaN away from the integers.
  SAPA_HD Neighbours(int64_t centre, A offset, int64_t size) {
    inside = offset > static_cast<A>(-1 - centre) && offset < static_cast<A>(size - centre);
    const A whole = inside ? floor_of(offset) : A(0);
    const A fraction = inside ? offset - whole : A(0);
    const int64_t first = centre + static_cast<int64_t>(whole);
    const bool has_first = inside && first >= 0;
    const bool has_second = inside && first + 1 < size;
    index[0] = larger<int64_t>(first, 0);
    index[1] = smaller<int64_t>(first + 1, size - 1);
    weight[0] = has_first ? 1 - fraction : A(0);
    weight[1] = has_second ? fraction : A(0);
    slope[0] = has_first ? A(-1) : A(0);
    slope[1] = has_second ? A(1) : A(0);
  }
};

// The four corners, row by row: corner k is at (y.index[k / 2], x.index[k % 2]).
template <class A>
struct Corners {
  Neighbours<A> y;
  Neighbours<A> x;

  SAPA_HD bool inside() const { return y.inside && x.inside; }
  SAPA_HD A weight(int k) const { return y.weight[k / 2] * x.weight[k % 2]; }
  SAPA_HD A slope_y(int k) const { return y.slope[k / 2] * x.weight[k % 2]; }
  SAPA_HD A slope_x(int k) const { return y.weight[k / 2] * x.slope[k % 2]; }
};

}  // namespace sapa
