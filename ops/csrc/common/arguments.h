// The arguments of a kernel: plain pointers, sizes and strides.
#pragma once

#include "geometry.h"
#include "numbers.h"

namespace sapa {

// A map whose channels are split into groups: element (n, g, c, y, x) in elements from data.
struct Map {
  void* data;
  Dtype dtype;
  int64_t stride_n;
  int64_t stride_g;
  int64_t stride_c;
  int64_t stride_y;
  int64_t stride_x;

  SAPA_HD int64_t offset(int64_t n, int64_t g, int64_t c, int64_t y, int64_t x) const {
    return n * stride_n + g * stride_g + c * stride_c + y * stride_y + x * stride_x;
  }
};

// All window kernels are derivatives of one sum over batch, groups, high-res positions, taps and
// channels: weight(n, g, tap, Y, X) * low(n, g, c, y, x) * high(n, g, c, Y, X), where (y, x) is the
// position of the tap. window_similarity is its derivative by weight, window_assemble by high,
// window_adjoint by low: each reads two of the maps and writes the third. They are each other's
// gradients too: see sapa_ops/operators.py.
struct WindowArguments {
  int64_t batch;
  int64_t groups;
  int64_t channels;  // of a group
  int64_t kernel_size;
  Axis y;
  Axis x;
  Map weight;  // channels are the taps, row by row
  Map low;
  Map high;
  bool softmax;  // over the taps, after window_similarity
  Border border;
};

// The same with points for taps, low sampled bilinearly at the low-res index plus offset.
struct PointArguments {
  int64_t batch;
  int64_t groups;
  int64_t channels;  // of a group
  int64_t points;
  Axis y;
  Axis x;
  Map weight;  // channels are the points
  Map low;
  Map high;
  Map offset;  // channels are point, (x, y)
  // Of point_gradients alone, which reads all maps and writes these two.
  Map weight_grad;
  Map offset_grad;
  bool softmax;  // over the points, after point_similarity
};

// Softmax over the channels of each group.
struct SoftmaxArguments {
  int64_t batch;
  int64_t groups;
  int64_t channels;  // of a group
  int64_t height;
  int64_t width;
  Map scores;  // of the accumulator's type; overwritten
  Map weight;  // may be the scores
};

}  // namespace sapa
