// Blocks of 8 x 8 floats, transposed in registers.
#pragma once

#include "lane.h"

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

constexpr int64_t kTransposed = 8;

// to[x * to_stride + c] = from[c * from_stride + x] for x, c in [0, 8).
SAPA_HD void transpose_block(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
#ifdef SAPA_SHUFFLE
  using Vector = VectorOf<float, 32>::Type;
  using Unaligned = VectorOf<float, 32>::Unaligned;
  Vector row[8];
  Vector pair[8];
  SAPA_UNROLL
  for (int k = 0; k < 8; ++k) {
    row[k] = *reinterpret_cast<const Unaligned*>(from + k * from_stride);
  }
  SAPA_UNROLL
  for (int k = 0; k < 8; k += 2) {
    pair[k] = SAPA_SHUFFLE(row[k], row[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pair[k + 1] = SAPA_SHUFFLE(row[k], row[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  SAPA_UNROLL
  for (int k = 0; k < 8; k += 4) {
    row[k] = SAPA_SHUFFLE(pair[k], pair[k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    row[k + 1] = SAPA_SHUFFLE(pair[k], pair[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    row[k + 2] = SAPA_SHUFFLE(pair[k + 1], pair[k + 3], 0, 1, 8, 9, 4, 5, 12, 13);
    row[k + 3] = SAPA_SHUFFLE(pair[k + 1], pair[k + 3], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  SAPA_UNROLL
  for (int k = 0; k < 4; ++k) {
    *reinterpret_cast<Unaligned*>(to + k * to_stride) =
        SAPA_SHUFFLE(row[k], row[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *reinterpret_cast<Unaligned*>(to + (k + 4) * to_stride) =
        SAPA_SHUFFLE(row[k], row[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
#else
  for (int x = 0; x < 8; ++x) {
    for (int c = 0; c < 8; ++c) to[x * to_stride + c] = from[c * from_stride + x];
  }
#endif
}

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa
