// The operators' schemas. Shapes: weight (N, G*K*K, H, W) or (N, G, S, H, W); low, key and value
// (N, G*C, h, w); high and query (N, G*C, H, W); offset (N, G*S*2, H, W).
#pragma once

#include <torch/library.h>

namespace sapa {

inline void define_schemas(torch::Library& m) {
  m.def("window_similarity(Tensor query, Tensor key, int kernel_size, int groups=1) -> Tensor");
  m.def("window_assemble(Tensor weight, Tensor value, int kernel_size, int groups=1) -> Tensor");
  // The gradient of window_assemble by value.
  m.def(
      "window_adjoint(Tensor weight, Tensor high, SymInt height, SymInt width, int kernel_size, "
      "int groups=1) -> Tensor");
  m.def("point_similarity(Tensor query, Tensor key, Tensor offset, int groups) -> Tensor");
  m.def("point_assemble(Tensor weight, Tensor value, Tensor offset) -> Tensor");
  // The gradient of point_assemble by value.
  m.def(
      "point_adjoint(Tensor weight, Tensor high, Tensor offset, SymInt height, SymInt width) "
      "-> Tensor");
  // The gradients of point_assemble by weight and by offset.
  m.def(
      "point_gradients(Tensor weight, Tensor high, Tensor low, Tensor offset) "
      "-> (Tensor, Tensor)");
}

}  // namespace sapa
