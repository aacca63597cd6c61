// A sampled point: the corners around it, and what it does in the point operators. A Lane is some
// channels at once, as in window.h.
#pragma once

#include "host_device.h"

namespace sapa {

SAPA_HD float floor_of(float x) { return __builtin_floorf(x); }
SAPA_HD double floor_of(double x) { return __builtin_floor(x); }

// What is computed of a point: numbers of one, or in cpu/lane.h vectors of several points at once.
template <class A>
struct Scalar {
  using Value = A;
  using Index = int64_t;
  using Mask = bool;

  SAPA_HD static int64_t broadcast(int64_t index) { return index; }
  SAPA_HD static bool all(bool mask) { return mask; }
  SAPA_HD static A value(int64_t index) { return static_cast<A>(index); }
  SAPA_HD static A floor(A x) { return floor_of(x); }
  SAPA_HD static int64_t index(A whole) { return static_cast<int64_t>(whole); }
};

// The two neighbours of a point along one axis. Where one lies in the padding, it is the other once
// more, and each has half of that one's weight: a zero weight would make NaN of an infinity.
template <class A, class Numbers>
struct Neighbours {
  using Value = typename Numbers::Value;
  using Index = typename Numbers::Index;
  using Mask = typename Numbers::Mask;
  Mask inside;     // in the open interval (-1, size), or NaN
  Index index[2];  // on the map, wherever the point is
  Value weight[2];
  Value slope[2];  // derivative of the weight by the offset

  // Whether both are on the map.
  SAPA_HD static Mask is_between(Index centre, Value offset, Index size) {
    return (offset >= Numbers::value(-centre)) & (offset < Numbers::value(size - 1 - centre));
  }

  // The point is at index + offset, and both are on the map. Taking the floor of the offset alone
  // keeps the fraction exact.
  SAPA_HD void place_between(Index centre, Value offset) {
    const Value whole = Numbers::floor(offset);
    const Value fraction = offset - whole;
    index[0] = centre + Numbers::index(whole);
    index[1] = index[0] + 1;
    weight[0] = 1 - fraction;
    weight[1] = fraction;
    slope[0] = Value{} - 1;
    slope[1] = Value{} + 1;
  }

  // Anywhere. Comparing before the conversion keeps infinities and NaN away from the integers.
  SAPA_HD void place(Index centre, Value offset, Index size) {
    inside = (offset > Numbers::value(-1 - centre)) & (offset < Numbers::value(size - centre));
    place_between(centre, inside ? offset : Value{});
    const Mask rises = index[0] < 0;
    index[0] = rises ? Index{} : index[0];
    index[1] = smaller(index[1], size - 1);
    const Mask one = index[0] == index[1];
    const Value half = A(0.5) * (rises ? weight[1] : weight[0]);
    const Value half_slope = rises ? Value{} + A(0.5) : Value{} - A(0.5);
    SAPA_UNROLL
    for (int k = 0; k < 2; ++k) {
      weight[k] = one ? half : weight[k];
      slope[k] = one ? half_slope : slope[k];
    }
  }

  // At NaN the weights are NaN, and the map's first pixels are read.
  SAPA_HD void set_nan(Mask nan, Index size) {
    inside = inside | nan;
    index[0] = nan ? Index{} : index[0];
    index[1] = nan ? smaller(Index{} + 1, size - 1) : index[1];
    SAPA_UNROLL
    for (Value& w : weight) w = nan ? Value{} + A(__builtin_nanf("")) : w;
  }
};

// The four corners, row by row: corner k is at (y.index[k / 2], x.index[k % 2]).
template <class A, class Numbers = Scalar<A>>
struct Corners {
  using Value = typename Numbers::Value;
  using Index = typename Numbers::Index;
  Neighbours<A, Numbers> y;
  Neighbours<A, Numbers> x;

  SAPA_HD Corners(Index centre_y, Value offset_y, int64_t height, Index centre_x, Value offset_x,
                  int64_t width) {
    const Index h = Numbers::broadcast(height);
    const Index w = Numbers::broadcast(width);
    const auto between = y.is_between(centre_y, offset_y, h) & x.is_between(centre_x, offset_x, w);
    if (__builtin_expect(Numbers::all(between), 1)) {
      y.inside = x.inside = between;
      y.place_between(centre_y, offset_y);
      x.place_between(centre_x, offset_x);
      return;
    }
    y.place(centre_y, offset_y, h);
    x.place(centre_x, offset_x, w);
    // An offset with NaN in one coordinate is NaN in both.
    const auto nan = (offset_y != offset_y) | (offset_x != offset_x);
    y.set_nan(nan, h);
    x.set_nan(nan, w);
  }

  SAPA_HD auto inside() const { return y.inside & x.inside; }
  SAPA_HD Value weight(int k) const { return y.weight[k / 2] * x.weight[k % 2]; }
  SAPA_HD Value slope_y(int k) const { return y.slope[k / 2] * x.weight[k % 2]; }
  SAPA_HD Value slope_x(int k) const { return y.weight[k / 2] * x.slope[k % 2]; }
};

// What each corner counts in the weighted sum over the points.
template <class Value, class A, class Numbers>
SAPA_HD void corner_factors(Value (&factor)[4], Value weight, const Corners<A, Numbers>& corners) {
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
template <class Value, class A, class Numbers>
SAPA_HD Value point_similarity(const Value (&dot)[4], const Corners<A, Numbers>& corners) {
  Value sum{};
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) sum += corners.weight(k) * dot[k];
  return sum;
}

// The derivatives of the similarity by the offset.
template <class Value, class A, class Numbers>
SAPA_HD void point_slopes(Value& slope_x, Value& slope_y, const Value (&dot)[4],
                          const Corners<A, Numbers>& corners) {
  slope_x = slope_y = Value{};
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) {
    slope_x += corners.slope_x(k) * dot[k];
    slope_y += corners.slope_y(k) * dot[k];
  }
}

// low at corner k += factor * high.
template <class A, class Lane, class AddToLow>
SAPA_HD void point_adjoint(const Lane& high, const A (&factor)[4], const AddToLow& add_to_low) {
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) add_to_low(k, factor[k], high);
}

}  // namespace sapa
