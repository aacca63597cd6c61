// One sampled point: the corners around it, and what it does in the point operators. A Lane is some
// channels at once, as in window.h.
#pragma once

#include "host_device.h"

namespace sapa {

SAPA_HD float floor_of(float x) { return __builtin_floorf(x); }
SAPA_HD double floor_of(double x) { return __builtin_floor(x); }

// The two neighbours of a point along one axis. Where one lies in the padding, it is the other once
// more, and each has half of that one's weight: a zero weight would make NaN of an infinity.
template <class A>
struct Neighbours {
  bool inside;       // in the open interval (-1, size), or NaN
  int64_t index[2];  // on the map
  A weight[2];
  A slope[2];  // derivative of the weight by the offset

  // The point is at index + offset. Taking the floor of the offset alone keeps the fraction exact,
  // and comparing before the conversion keeps infinities and NaN away from the integers.
  SAPA_HD Neighbours(int64_t centre, A offset, int64_t size) {
    inside = offset > static_cast<A>(-1 - centre) && offset < static_cast<A>(size - centre);
    const A whole = inside ? floor_of(offset) : A(0);
    const A fraction = inside ? offset - whole : A(0);
    const int64_t first = centre + static_cast<int64_t>(whole);
    index[0] = larger<int64_t>(first, 0);
    index[1] = smaller<int64_t>(first + 1, size - 1);
    weight[0] = 1 - fraction;
    weight[1] = fraction;
    slope[0] = A(-1);
    slope[1] = A(1);
    if (__builtin_expect(index[0] == index[1], 0)) {
      const bool rises = first < 0;
      weight[0] = weight[1] = A(0.5) * (rises ? fraction : 1 - fraction);
      slope[0] = slope[1] = rises ? A(0.5) : A(-0.5);
    }
  }

  // At NaN the weights are NaN, and the map's first pixels are read.
  SAPA_HD void set_nan(int64_t size) {
    inside = true;
    index[0] = 0;
    index[1] = smaller<int64_t>(1, size - 1);
    weight[0] = weight[1] = A(__builtin_nanf(""));
  }
};

// The four corners, row by row: corner k is at (y.index[k / 2], x.index[k % 2]).
template <class A>
struct Corners {
  Neighbours<A> y;
  Neighbours<A> x;

  SAPA_HD Corners(int64_t centre_y, A offset_y, int64_t height, int64_t centre_x, A offset_x,
                  int64_t width)
      : y(centre_y, offset_y, height), x(centre_x, offset_x, width) {
    // An offset with NaN in one coordinate is NaN in both.
    if (__builtin_expect(offset_y != offset_y || offset_x != offset_x, 0)) {
      y.set_nan(height);
      x.set_nan(width);
    }
  }

  SAPA_HD bool inside() const { return y.inside && x.inside; }
  SAPA_HD A weight(int k) const { return y.weight[k / 2] * x.weight[k % 2]; }
  SAPA_HD A slope_y(int k) const { return y.slope[k / 2] * x.weight[k % 2]; }
  SAPA_HD A slope_x(int k) const { return y.weight[k / 2] * x.slope[k % 2]; }
};

// What each corner counts in the weighted sum over the points.
template <class A>
SAPA_HD void corner_factors(A (&factor)[4], A weight, const Corners<A>& corners) {
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) factor[k] = weight * corners.weight(k);
}

// sum += the weighted bilinear sample of low.
template <class A, class Lane, class Low>
SAPA_HD void point_assemble(Lane& sum, const A (&factor)[4], const Low& low) {
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) sum.add(factor[k], low(k));
}

// dot[k] += high * low at corner k, over the channels of a lane.
template <class Lane, class Sum, class Low>
SAPA_HD void corner_products(Sum (&dot)[4], const Lane& high, const Low& low) {
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) dot[k].add(high, low(k));
}

// The similarity, from the products with the corners.
template <class A, class Sum>
SAPA_HD A point_similarity(const Sum (&dot)[4], const Corners<A>& corners) {
  Sum sum = Sum::zero();
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) sum.add(corners.weight(k), dot[k]);
  return sum.total();
}

// The derivatives of the similarity by the offset.
template <class A, class Sum>
SAPA_HD void point_slopes(A& slope_x, A& slope_y, const Sum (&dot)[4], const Corners<A>& corners) {
  Sum along_x = Sum::zero();
  Sum along_y = Sum::zero();
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) {
    along_x.add(corners.slope_x(k), dot[k]);
    along_y.add(corners.slope_y(k), dot[k]);
  }
  slope_x = along_x.total();
  slope_y = along_y.total();
}

// low at corner k += factor * high.
template <class A, class Lane, class AddToLow>
SAPA_HD void point_adjoint(const Lane& high, const A (&factor)[4], const AddToLow& add_to_low) {
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) add_to_low(k, factor[k], high);
}

}  // namespace sapa
