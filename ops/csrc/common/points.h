// What one sampled point does in the point operators; a Lane as in window.h.
#pragma once

#include "bilinear.h"

namespace sapa {

// What each corner counts for in the weighted sum over the points.
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

// The similarity from the products with the corners.
template <class A, class Sum>
SAPA_HD A point_similarity(const Sum (&dot)[4], const Corners<A>& corners) {
  Sum sum = Sum::zero();
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) sum.add(corners.weight(k), dot[k]);
  return sum.total();
}

// The derivatives of the similarity by the offset.
template <class A, class Sum>
SAPA_HD void point_slopes(A& slope_x, A& slope_y, const Sum (&dot)[4],
                          const Corners<A>& corners) {
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

// The adjoint of assembly: low at corner k += factor * high. A corner in the padding has factor 0.
template <class A, class Lane, class AddToLow>
SAPA_HD void point_adjoint(const Lane& high, const A (&factor)[4], const AddToLow& add_to_low) {
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) {
    if (factor[k] != 0) add_to_low(k, factor[k], high);
  }
}

}  // namespace sapa
