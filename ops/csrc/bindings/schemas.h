// The schemas of torch.ops.sapa_ops: the operators, and those of their gradients that no operator
// computes (the others: autograd.cpp). Shapes: weight (N, G*K*K, H, W) or (N, G, S, H, W); low, key
// and value (N, G*C, h, w); high and query (N, G*C, H, W); offset (N, G*S*2, H, W).
#pragma once

#include <torch/library.h>

namespace sapa {

inline void define_schemas(torch::Library& m) {
  m.def("window_similarity(Tensor query, Tensor key, int kernel_size, int groups=1) -> Tensor");
  m.def("window_assemble(Tensor weight, Tensor value, int kernel_size, int groups=1) -> Tensor");
  // Also the gradient of window_similarity by key.
  m.def(
      "window_assemble_backward_value(Tensor weight, Tensor high, SymInt height, SymInt width, "
      "int kernel_size, int groups=1) -> Tensor");
  m.def("point_similarity(Tensor query, Tensor key, Tensor offset, int groups) -> Tensor");
  m.def("point_assemble(Tensor weight, Tensor value, Tensor offset) -> Tensor");
  // Also the gradient of point_similarity by key.
  m.def(
      "point_assemble_backward_value(Tensor weight, Tensor high, Tensor offset, "
      "SymInt height, SymInt width) -> Tensor");
  // The second is also the gradient of point_similarity by offset.
  m.def(
      "point_assemble_backward_weight_offset(Tensor weight, Tensor high, Tensor low, "
      "Tensor offset) -> (Tensor, Tensor)");
}

}  // namespace sapa
